//! The stock of a product.

use service_kit::settings::whole_number;
use shared_events::ProductId;

use super::Observation;

/// The expected stock of a product.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox expect stock prod_123 --quantity 7")]
pub struct StockCondition {
    /// The product
    pub product: ProductId,

    /// The number of pieces
    #[arg(long, value_parser = whole_number::<u64>(0..=1_000_000_000))]
    pub quantity: u64,
}

impl StockCondition {
    /// Whether the product exists and has exactly this stock.
    pub fn check(&self, pieces: Option<u64>) -> Observation {
        match pieces {
            None => Observation::Not(format!("inventory-service has no product {}", self.product)),
            Some(pieces) => Observation::judge(
                pieces == self.quantity,
                format!("{} has {pieces} pieces in stock", self.product),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stock_must_be_exact() {
        let wanted = StockCondition {
            product: ProductId::new("prod_123").unwrap(),
            quantity: 7,
        };
        assert!(matches!(wanted.check(Some(7)), Observation::Holds(_)));
        assert!(matches!(wanted.check(Some(8)), Observation::Not(_)));
        assert!(matches!(wanted.check(Some(6)), Observation::Not(_)));
        assert!(matches!(wanted.check(None), Observation::Not(_)));
    }
}
