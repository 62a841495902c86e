//! Makes a new binary when a page or the demo's portraits change: they are embedded, and cargo looks only at what
//! it is told to.

use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in ["web/dist", "web/dist-board", "demo/avatars"] {
        let folder = root.join(folder);
        // Where the page is not built yet: cargo takes a missing path for a changed one, at every build anew.
        let _ = std::fs::create_dir_all(&folder);
        println!("cargo:rerun-if-changed={}", folder.display());
    }
}
