# Whether this host hears others by VRRP (IP protocol 112), and who speaks it here. Nothing is changed; what is sent is no
# VRRP that anybody would follow. `$1` family (4 or 6), `$2` interface, `$3` the host's address there, `$4` seconds, then the
# addresses to send to. No shell can open a raw socket: whichever of perl and python3 the host has does.
PATH=$PATH:/usr/sbin:/sbin:/usr/libexec
perl_program='
use strict;
use Socket qw(:DEFAULT inet_pton inet_ntop pack_sockaddr_in6 unpack_sockaddr_in6);
my ($family, $interface, $source, $seconds, @peers) = @ARGV;
my $domain = $family == 6 ? AF_INET6 : AF_INET;
sub fail { print "=vrrp= error $_[0]: $!\n"; exit }
socket(my $socket, $domain, SOCK_RAW, 112) or fail "open a socket";
setsockopt($socket, SOL_SOCKET, 25, "$interface\0") or fail "listen on $interface";
my ($level, $name, $group) = (0, 35, inet_aton("224.0.0.18"));
my $here = inet_aton($source) if $family == 4;
if ($family == 6) {
  open(my $file, "<", "/sys/class/net/$interface/ifindex") or fail "look at $interface";
  ($level, $name, $group, $here) = (41, 20, inet_pton(AF_INET6, "ff02::12"), pack("I", scalar <$file>));
}
setsockopt($socket, $level, $name, $group . $here) or fail "join the group";
my (%heard, %speakers);
my $end = time + $seconds;
do {
  for my $peer (@peers) {
    my $packed = inet_pton($domain, $peer) or next;
    send($socket, "\0kk-precheck", 0, $family == 6 ? pack_sockaddr_in6(0, $packed) : pack_sockaddr_in(0, $packed));
  }
  my $ready = "";
  vec($ready, fileno($socket), 1) = 1;
  if (select($ready, undef, undef, 0.4) > 0) {
    my $data;
    my $from = recv($socket, $data, 2048, 0);
    my (undef, $packed) = $family == 6 ? unpack_sockaddr_in6($from) : unpack_sockaddr_in($from);
    my $address = inet_ntop($domain, $packed);
    $data = substr($data, (ord($data) & 15) * 4) if $family == 4;
    if ($data eq "\0kk-precheck") { $heard{$address} = 1 }
    elsif (length($data) > 1 && (ord($data) & 15) == 1) { $speakers{"$address " . ord(substr($data, 1, 1))} = 1 }
  }
} while (time < $end);
print "=vrrp= heard $_\n" for sort keys %heard;
print "=vrrp= speaker $_\n" for sort keys %speakers;
print "=vrrp= done\n";
'
python_program='
import select, socket, struct, sys, time
family, interface, source, seconds = sys.argv[1:5]
peers = sys.argv[5:]
six = family == "6"
domain = socket.AF_INET6 if six else socket.AF_INET
heard, speakers = set(), set()
try:
    sock = socket.socket(domain, socket.SOCK_RAW, 112)
    sock.setsockopt(socket.SOL_SOCKET, 25, interface.encode() + b"\0")
    if six:
        group = socket.inet_pton(domain, "ff02::12") + struct.pack("I", socket.if_nametoindex(interface))
        sock.setsockopt(41, 20, group)
    else:
        sock.setsockopt(0, 35, socket.inet_aton("224.0.0.18") + socket.inet_aton(source))
    end = time.time() + int(seconds)
    while time.time() < end:
        for peer in peers:
            try:
                sock.sendto(b"\0kk-precheck", (peer, 0))
            except OSError:
                pass
        if select.select([sock], [], [], 0.4)[0]:
            data, where = sock.recvfrom(2048)
            if not six:
                data = data[(data[0] & 15) * 4:]
            address = where[0].split("%")[0]
            if data == b"\0kk-precheck":
                heard.add(address)
            elif len(data) > 1 and data[0] & 15 == 1:
                speakers.add("%s %d" % (address, data[1]))
    for one in sorted(heard):
        print("=vrrp= heard " + one)
    for one in sorted(speakers):
        print("=vrrp= speaker " + one)
    print("=vrrp= done")
except OSError as error:
    print("=vrrp= error " + str(error))
'
# A perl without its modules, as small systems have it, cannot.
if command -v perl >/dev/null 2>&1 && perl -MSocket=inet_pton -e 1 2>/dev/null; then
  exec perl -e "$perl_program" "$@"
fi
for python in python3 platform-python; do
  if command -v "$python" >/dev/null 2>&1; then exec "$python" -c "$python_program" "$@"; fi
done
echo '=vrrp= tool'
