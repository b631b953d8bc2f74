//! `audit` on a real stack.

use chrono::{SecondsFormat, Utc};
use serde_json::Value;

use crate::rig::Rig;

/// Other tests of this program change topics and offsets of the shared stack, so the orders are those of this test.
#[test]
fn the_audit_passes_after_one_order_of_each_outcome() {
    let rig = Rig::shared();
    rig.good(&["expect", "lag", "--caught-up"]);
    let since = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let product = format!("prod_{:016x}", fastrand::u64(..));
    let url = rig.good(&["url", "inventory-service"]);
    let stock = format!("{}/products/{product}", url.trim());
    for quantity in ["1000", "5"] {
        let body = format!("{{\"quantity\": {quantity}}}");
        let header = "Content-Type: application/json";
        let put = std::process::Command::new("curl")
            .args(["-sfX", "PUT", &stock, "-H", header, "-d", &body])
            .status();
        assert!(put.unwrap().success());
    }
    rig.order(&product, "2", "250.50");
    rig.order(&product, "10", "250.00");
    rig.order(&product, "1", "1500.00");
    rig.order("prod_ignore", "1", "99.00");
    let audit = rig.run(&["audit", "--wait", "--since", &since, "--json"]);
    assert_eq!(audit.code, 0, "{}{}", audit.output, audit.errors);
    let report: Value = serde_json::from_str(&audit.output).unwrap();
    let figures = &report["orders"];
    assert_eq!(figures["accepted"], 4, "{report}");
    assert_eq!(figures["ended"], 3, "{report}");
    assert_eq!(figures["waitingFor"]["deadLetter"], 1, "{report}");
    for figure in ["lost", "doubled", "outOfOrder"] {
        assert_eq!(figures[figure], 0, "{figure}: {report}");
    }
    // A table without the record of a change: the levels do not add up any more.
    let sql = |sign: &str| {
        let change = format!(
            "UPDATE products SET quantity = quantity {sign} 1 WHERE product_id = '{product}'"
        );
        rig.good(&["psql", "inventory_db", "-c", &change]);
    };
    sql("-");
    let audit = rig.run(&["audit", "--since", &since]);
    sql("+");
    assert_eq!(audit.code, 1, "{}{}", audit.output, audit.errors);
    let lines = audit.output.lines();
    let failed: Vec<_> = lines.filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(failed.len(), 1, "{}", audit.output);
    assert!(failed[0].starts_with("FAIL stock-adds-up "), "{failed:?}");
    assert!(
        audit.output.starts_with(
            "orders: accepted 4 · ended 3 · waiting 1 · lost 0 · doubled 0 · out of order 0\n"
        ),
        "{}",
        audit.output
    );
}
