use std::fs;

/// The number of everybody who has none here: a user of another user namespace (`user_namespaces(7)`).
const NOBODY: u32 = 65_534;

/// Whether the kernel gives this number of a user to many: it is that of all who have none in this user namespace. Where
/// everybody has one, as outside of any, it is that of one user as the others are.
pub(crate) fn may_be_anybody(uid: u32) -> bool {
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    let overflow = overflow.and_then(|text| text.trim().parse().ok()).unwrap_or(NOBODY);
    uid == overflow && !fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_of_all(&map))
}

/// Whether it maps everybody to himself.
fn is_of_all(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_users_have_numbers_outside_of_namespaces_alone() {
        assert!(is_of_all("         0          0 4294967295\n"));
        for map in ["", "0 1000 1\n", "0 100000 65536\n", "0 0 65536\n", "0 0 4294967295\n1 1 1\n"] {
            assert!(!is_of_all(map), "{map}");
        }
        assert!(!may_be_anybody(0) && !may_be_anybody(1000));
    }
}
