(function () {
  var rows = document.querySelector('.rows');
  var zoom = document.getElementById('zoom');
  zoom.addEventListener('input', function () { rows.style.setProperty('--zoom', zoom.value); });
  var filter = document.getElementById('filter');
  var lanes = Array.prototype.slice.call(document.querySelectorAll('.lane.host'));
  filter.addEventListener('input', function () {
    var word = filter.value.toLowerCase();
    lanes.forEach(function (lane) {
      var name = lane.querySelector('.name').textContent.toLowerCase();
      lane.classList.toggle('hidden', name.indexOf(word) < 0);
    });
  });
})();
