//! What Docker mode does to the databases from a container, on the database server of a local stack.

use std::process::Command;

use crate::rig::{Ran, Rig};

/// Runs SQL with psql as this role, whose password is its name.
fn sql(rig: &Rig, role: &str, database: &str, statements: &[&str]) -> Ran {
    let port = rig.port("POSTGRES_PORT");
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "-At", "--set=ON_ERROR_STOP=1"]);
    psql.arg(format!(
        "postgres://{role}:{role}@127.0.0.1:{port}/{database}"
    ));
    for statement in statements {
        psql.args(["-c", statement]);
    }
    Ran::of(&mut psql)
}

/// Runs a verb as the container of docker-compose.yml does.
fn inside(rig: &Rig, verb: &str) -> Ran {
    let server = format!("127.0.0.1:{}", rig.port("POSTGRES_PORT"));
    let broker = format!("127.0.0.1:{}", rig.port("KAFKA_PORT"));
    let mut command = rig.command(&[verb]);
    command
        .env("SANDBOX_INSIDE", "true")
        .env("KAFKA_BOOTSTRAP_SERVERS", broker)
        .env("CONTAINER_POSTGRES", server);
    Ran::of(&mut command)
}

#[test]
fn a_container_creates_the_databases_that_a_volume_lacks() {
    let rig = Rig::shared();
    // reset-data deletes the groups, which must have no members.
    let services = ["order-service", "payment-service", "inventory-service"];
    rig.good(&[&["kill"], &services[..]].concat());
    let broken = sql(
        &rig,
        "postgres",
        "postgres",
        &[
            "DROP DATABASE inventory_db WITH (FORCE)",
            "DROP ROLE inventory",
            "ALTER DATABASE orders_db OWNER TO postgres",
            "ALTER ROLE orders NOLOGIN PASSWORD 'other'",
        ],
    );
    assert_eq!(broken.code, 0, "{broken:?}");
    for _ in 0..2 {
        let created = inside(&rig, "create-databases");
        assert_eq!(created.code, 0, "{created:?}");
    }
    for (role, database) in [("orders", "orders_db"), ("inventory", "inventory_db")] {
        let made = sql(
            &rig,
            role,
            database,
            &["CREATE SCHEMA mine", "DROP SCHEMA mine"],
        );
        assert_eq!(made.code, 0, "{made:?}");
    }
    // The data of a database that exists is kept.
    let kept = sql(
        &rig,
        "orders",
        "orders_db",
        &["SELECT count(*) FROM orders"],
    );
    assert_eq!(kept.code, 0, "{kept:?}");
    let reset = inside(&rig, "reset-data");
    assert_eq!(reset.code, 0, "{reset:?}");
    let emptied = sql(&rig, "orders", "orders_db", &["SELECT FROM orders"]);
    assert!(emptied.errors.contains("does not exist"), "{emptied:?}");
    rig.good(&["reset"]);
}

#[test]
fn only_a_container_creates_databases() {
    assert_eq!(Rig::new().run(&["create-databases"]).code, 2);
}
