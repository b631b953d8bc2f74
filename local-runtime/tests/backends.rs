//! A real broker and a real database, on ports and in a folder of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step is a failed test"
)]

use local_runtime::backends::Backends;
use local_runtime::dist::{Installation, Sources};
use local_runtime::home::Home;
use local_runtime::process::Processes;
use std::path::Path;
use std::time::Instant;

async fn installation() -> Installation {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sandbox/dist");
    let sources = Sources {
        dist,
        kafka_home: None,
        pg_bin: None,
    };
    sources.fetch(false, |_| {}).await.unwrap()
}

#[tokio::test]
async fn both_start_answer_and_stop() {
    let t = Instant::now();
    let installation = installation().await;
    eprintln!("fetch {:?}", t.elapsed());
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let processes = Processes::guarded(&home);
    let backends = Backends::on_free_ports(&home, &installation).unwrap();
    for _ in 0..2 {
        let t = Instant::now();
        backends.start(&processes).await.unwrap();
        eprintln!("start {:?}", t.elapsed());
        for r in processes.records().unwrap() {
            eprintln!("{} {:?}", r.name, r.process.usage());
        }
        backends
            .postgres
            .server()
            .create_database("orders", "orders_db")
            .await
            .unwrap();
        let t = Instant::now();
        backends.stop(&processes).await.unwrap();
        eprintln!("stop {:?}", t.elapsed());
        for r in processes.records().unwrap() {
            eprintln!(
                "{} {:?} {:?}",
                r.name,
                processes.state(&r).unwrap(),
                processes.last_log_line(&r.name)
            );
        }
    }
}
