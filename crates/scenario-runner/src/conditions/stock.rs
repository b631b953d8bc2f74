//! How many pieces of a product are there.

use shared_events::ProductId;

use super::Seen;

/// A product with so many pieces in stock.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  ./sandbox expect stock prod_123 --quantity 7")]
pub struct StockIs {
    /// The product
    pub product: ProductId,

    /// Its pieces
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    pub quantity: u64,
}

impl StockIs {
    /// Whether there are so many, if the product is known at all.
    pub fn check(&self, pieces: Option<u64>) -> Seen {
        match pieces {
            None => Seen::Not(format!(
                "inventory-service knows no product {}",
                self.product
            )),
            Some(pieces) => Seen::judge(
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
    fn only_the_very_number_of_pieces_will_do() {
        let wanted = StockIs {
            product: ProductId::new("prod_123").unwrap(),
            quantity: 7,
        };
        assert!(matches!(wanted.check(Some(7)), Seen::Holds(_)));
        assert!(matches!(wanted.check(Some(8)), Seen::Not(_)));
        assert!(matches!(wanted.check(Some(6)), Seen::Not(_)));
        assert!(matches!(wanted.check(None), Seen::Not(_)));
    }
}
