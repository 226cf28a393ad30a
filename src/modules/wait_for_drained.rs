//! `wait_for: state=drained`: until nobody is connected to a port of the host any more, as the kernel's tables say it.

use std::net::IpAddr;

use crate::connect::Command;

/// The states of a connection that can count, by the numbers that the kernel gives them.
const STATES: &[(&str, &str)] = &[
    ("ESTABLISHED", "01"),
    ("SYN_SENT", "02"),
    ("SYN_RECV", "03"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("TIME_WAIT", "06"),
];

/// `$1` port, `$2` states, `$3` seconds, `$4` between looks, `$5` before, `$6` addresses of the host and `$7` those that do not
/// count, each as the kernel writes it behind `4:` or `6:`, or a name behind `n:`. Ends with 0 once nobody is connected, with
/// 20 when the time is up.
const DRAINED: &str = r#"
port=$1 states=$2 limit=$3 pause=$4 delay=$5
resolved() {
  for entry in $1; do
    case $entry in
      n:*)
        for address in $(getent ahostsv4 "${entry#n:}" | cut -d ' ' -f 1 | sort -u); do
          saved=$IFS
          IFS=.
          set -- $address
          IFS=$saved
          address=$(printf '%02X%02X%02X%02X' "$4" "$3" "$2" "$1")
          printf ' 4:%s 6:0000000000000000FFFF0000%s' "$address" "$address"
        done
        ;;
      *) printf ' %s' "$entry" ;;
    esac
  done
  printf ' '
}
own=$(resolved "$6")
left_out=$(resolved "$7")
busy() {
  for family in 4 6; do
    case $family in 4) table=/proc/net/tcp all=00000000 ;; *) table=/proc/net/tcp6 all=00000000000000000000000000000000 ;; esac
    [ -r "$table" ] || continue
    while read -r _ here there state _; do
      case $states in *" $state "*) ;; *) continue ;; esac
      [ "${here#*:}" = "$port" ] || continue
      case $left_out in *" $family:${there%:*} "*) continue ;; esac
      case $own in *" $family:${here%:*} "* | *" $family:$all "*) return 0 ;; esac
      case $own/$here in *" 6:0000000000000000FFFF000000000000 "*/0000000000000000FFFF0000*) return 0 ;; esac
    done <"$table"
  done
  return 1
}
sleep "$delay"
start=$(date +%s)
while busy; do
  now=$(date +%s)
  [ $((now - start)) -lt "$limit" ] || exit 20
  sleep "$pause"
done
now=$(date +%s)
echo "elapsed=$((now - start + delay))"
"#;

/// Which connections to a port count.
pub(super) struct Connections {
    own: String,
    left_out: String,
    states: String,
}

impl Connections {
    /// Of a host; `left_out` are hosts whose connections do not count, `states` those that do, the usual ones if none.
    pub(super) fn new(host: &str, left_out: &[String], states: &[String]) -> Result<Self, String> {
        let mut numbers = String::from(" ");
        for (name, number) in STATES {
            if states.is_empty() || states.iter().any(|state| state == name) {
                numbers.push_str(number);
                numbers.push(' ');
            }
        }
        let unknown = |state: &&String| STATES.iter().all(|(name, _)| name != state);
        if let Some(state) = states.iter().find(unknown) {
            return Err(format!("unknown active_connection_state ({state}) defined"));
        }
        Ok(Self {
            own: entry(host),
            left_out: left_out.iter().map(|host| entry(host)).collect(),
            states: numbers,
        })
    }

    /// Waits on the host.
    pub(super) fn command(&self, port: i64, timeout: i64, pause: i64, delay: i64) -> Command {
        Command::script(
            DRAINED,
            [
                format!("{port:04X}"),
                self.states.clone(),
                timeout.to_string(),
                pause.to_string(),
                delay.to_string(),
                self.own.clone(),
                self.left_out.clone(),
            ],
        )
    }
}

/// A host as the script takes it: addresses as the kernel writes them, in words of four bytes, each the other way round.
fn entry(host: &str) -> String {
    let kernel = |bytes: &[u8]| -> String {
        bytes
            .chunks(4)
            .flat_map(|word| word.iter().rev())
            .map(|byte| format!("{byte:02X}"))
            .collect()
    };
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            let (plain, mapped) = (address.octets(), address.to_ipv6_mapped().octets());
            format!("4:{} 6:{} ", kernel(&plain), kernel(&mapped))
        }
        Ok(IpAddr::V6(address)) => format!("6:{} ", kernel(&address.octets())),
        Err(_) => format!("n:{host} "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_the_kernel_writes_them() {
        assert_eq!(
            entry("127.0.0.1"),
            "4:0100007F 6:0000000000000000FFFF00000100007F "
        );
        assert_eq!(entry("::1"), "6:00000000000000000000000001000000 ");
        assert_eq!(
            entry("0.0.0.0"),
            "4:00000000 6:0000000000000000FFFF000000000000 "
        );
        assert_eq!(entry("a.example"), "n:a.example ");
    }

    #[test]
    fn states_by_their_names() {
        let states = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Connections::new("::", &[], &names).map(|connections| connections.states)
        };
        assert_eq!(states(&[]).as_deref(), Ok(" 01 02 03 04 05 06 "));
        assert_eq!(
            states(&["TIME_WAIT", "ESTABLISHED"]).as_deref(),
            Ok(" 01 06 ")
        );
        assert!(states(&["LISTENING"]).is_err());
    }
}
