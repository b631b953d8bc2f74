use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const PRODUCTS: [&str; 3] = ["prod_a", "prod_b", "prod_c"];

fn paid(order: u128, product: &str, pieces: u32) -> PaymentSucceeded {
    let order_id = OrderId::from(uuid::Uuid::from_u128(order));
    PaymentSucceeded {
        order_id,
        payment_id: PaymentId::of(order_id),
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(pieces).unwrap(),
        amount: "25.50".parse().unwrap(),
        occurred_at: DateTime::UNIX_EPOCH,
    }
}

fn stock(levels: &[(&str, u32)]) -> HashMap<ProductId, u32> {
    let level = |(product, pieces): &(&str, u32)| (product.parse().unwrap(), *pieces);
    levels.iter().map(level).collect()
}

fn outcomes(ledger: &mut Ledger, payments: &[PaymentSucceeded]) -> Vec<Outcome> {
    let decide = |paid| ledger.decide(paid, DateTime::UNIX_EPOCH).outcome;
    payments.iter().map(decide).collect()
}

#[test]
fn an_order_that_is_too_large_takes_nothing() {
    let mut ledger = Ledger::new(stock(&[("prod_a", 9)]), []);
    let payments = [
        paid(1, "prod_a", 2),
        paid(2, "prod_a", 8),
        paid(3, "prod_a", 7),
        paid(4, "prod_a", 1),
    ];
    assert_eq!(
        outcomes(&mut ledger, &payments),
        [
            Outcome::Reserved,
            Outcome::OutOfStock,
            Outcome::Reserved,
            Outcome::OutOfStock
        ]
    );
}

#[test]
fn an_unknown_product_differs_from_an_empty_stock() {
    let mut ledger = Ledger::new(stock(&[("prod_a", 0)]), []);
    let payments = [paid(1, "prod_a", 1), paid(2, "prod_b", 1)];
    assert_eq!(
        outcomes(&mut ledger, &payments),
        [Outcome::OutOfStock, Outcome::UnknownProduct]
    );
}

#[test]
fn a_decision_stays_the_same_after_a_restock() {
    let paid = paid(1, "prod_a", 5);
    let refused = Ledger::new(stock(&[("prod_a", 4)]), []).decide(&paid, DateTime::UNIX_EPOCH);
    let mut later = Ledger::new(stock(&[("prod_a", 100)]), [refused.clone()]);
    assert_eq!(later.decide(&paid, Utc::now()), refused);
    assert!(later.new_decisions().is_empty());
}

#[test]
fn an_out_of_stock_event_has_what_the_refund_needs() {
    let paid = paid(1, "prod_x", 3);
    let decision = Ledger::default().decide(&paid, DateTime::UNIX_EPOCH);
    let expected = InventoryOutOfStock {
        order_id: paid.order_id,
        payment_id: paid.payment_id,
        product_id: paid.product_id,
        quantity: paid.quantity,
        amount: paid.amount,
        reason: "unknown_product".to_owned(),
        occurred_at: DateTime::UNIX_EPOCH,
    };
    assert_eq!(decision.into_event(), expected.into());
}

/// The rule in its simplest form: a shelf is a list of pieces, and a notebook lists the outcome of
/// each order.
fn simple_model(
    levels: &[(&str, u32)],
    payments: &[PaymentSucceeded],
) -> (Vec<Outcome>, Vec<usize>) {
    let mut shelves: Vec<(&str, Vec<()>)> = levels
        .iter()
        .map(|(product, pieces)| (*product, vec![(); *pieces as usize]))
        .collect();
    let mut notebook: Vec<(OrderId, Outcome)> = Vec::new();
    for payment in payments {
        let shelf = shelves
            .iter_mut()
            .find(|(product, _)| *product == payment.product_id.as_str());
        let wanted = payment.quantity.pieces() as usize;
        if notebook.iter().any(|(order, _)| *order == payment.order_id) {
            continue;
        }
        let outcome = match shelf {
            None => Outcome::UnknownProduct,
            Some((_, pieces)) if pieces.len() < wanted => Outcome::OutOfStock,
            Some((_, pieces)) => {
                pieces.truncate(pieces.len() - wanted);
                Outcome::Reserved
            }
        };
        notebook.push((payment.order_id, outcome));
    }
    let outcome = |payment: &PaymentSucceeded| {
        let entry = notebook
            .iter()
            .find(|(order, _)| *order == payment.order_id);
        entry.unwrap().1
    };
    (
        payments.iter().map(outcome).collect(),
        shelves.iter().map(|(_, pieces)| pieces.len()).collect(),
    )
}

fn levels() -> impl Strategy<Value = Vec<(&'static str, u32)>> {
    // The third product is unknown.
    (0u32..30, 0u32..30).prop_map(|(a, b)| vec![(PRODUCTS[0], a), (PRODUCTS[1], b)])
}

fn payments() -> impl Strategy<Value = Vec<PaymentSucceeded>> {
    let payment = (0u128..12, 0usize..3, 1u32..12);
    vec(
        payment.prop_map(|(order, product, pieces)| paid(order, PRODUCTS[product], pieces)),
        0..40,
    )
}

proptest! {
    #[test]
    fn the_ledger_agrees_with_the_simple_model(levels in levels(), payments in payments()) {
        let mut ledger = Ledger::new(stock(&levels), []);
        let decided = outcomes(&mut ledger, &payments);
        let (expected, left) = simple_model(&levels, &payments);
        prop_assert_eq!(decided, expected);
        for ((product, _), left) in levels.iter().zip(left) {
            let product: ProductId = product.parse().unwrap();
            prop_assert_eq!(ledger.stock[&product] as usize, left);
        }
    }

    #[test]
    fn decisions_do_not_depend_on_where_a_batch_is_cut(
        levels in levels(), payments in payments(), cut in 0usize..40,
    ) {
        let mut whole = Ledger::new(stock(&levels), []);
        let at_once = outcomes(&mut whole, &payments);

        let (first, second) = payments.split_at(cut.min(payments.len()));
        let mut before = Ledger::new(stock(&levels), []);
        let mut in_two = outcomes(&mut before, first);
        let mut after = Ledger::new(before.stock.clone(), before.new_decisions().to_vec());
        in_two.extend(outcomes(&mut after, second));
        prop_assert_eq!(in_two, at_once);
        prop_assert_eq!(after.stock, whole.stock);
    }
}

#[test]
fn a_stock_level_is_within_its_bounds() {
    for good in ["0", "9", "1000000000"] {
        assert!(serde_json::from_str::<StockLevel>(good).is_ok(), "{good}");
    }
    for bad in [
        "-1",
        "1.5",
        "1e400",
        "1000000001",
        "99999999999999999999",
        "\"9\"",
        "null",
    ] {
        let refused = serde_json::from_str::<StockLevel>(bad).unwrap_err();
        assert_eq!(refused.to_string(), StockLevel::LIMIT.to_string(), "{bad}");
    }
}
