//! The migrations are compiled into the binary, so a new migration must cause a build.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
