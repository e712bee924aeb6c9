//! Which container this process is in, as the Docker engine knows it; nothing outside one.

/// The full id of the container we run in, read from where the engine mounts its files.
pub fn own_id() -> Option<String> {
    id_in(&std::fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// The engine mounts `…/containers/<id>/hostname` over `/etc/hostname`; that line names the container.
fn id_in(mountinfo: &str) -> Option<String> {
    let line = mountinfo.lines().find(|line| line.split(' ').nth(4) == Some("/etc/hostname"))?;
    let folders = line.split(' ').nth(3)?.split('/');
    folders.into_iter().find(|folder| folder.len() == 64 && folder.bytes().all(|byte| byte.is_ascii_hexdigit())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::id_in;

    #[test]
    fn the_id_stands_in_the_mount_of_the_host_name() {
        let id = "0123456789abcdef".repeat(4);
        let line = format!("612 593 254:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw,relatime - ext4 /dev/root rw");
        assert_eq!(id_in(&format!("1 2 0:1 / / rw - overlay overlay rw\n{line}\n")), Some(id));
    }

    #[test]
    fn outside_a_container_there_is_none() {
        assert_eq!(id_in("22 1 254:1 / / rw,relatime - ext4 /dev/root rw\n"), None);
        assert_eq!(id_in("612 593 254:1 /somewhere/hostname /etc/hostname rw - ext4 /dev/root rw\n"), None);
    }
}
