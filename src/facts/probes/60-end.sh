
section clock-end
date +%s.%N
section end
