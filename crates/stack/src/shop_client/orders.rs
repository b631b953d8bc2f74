//! Lists of orders: `GET /orders`, page by page.

use anyhow::Result;
use reqwest::Url;
use shared_events::http_api::{OrderPage, OrderStatus, OrderView};
use shared_events::{CustomerId, OrderId, Service};

use super::{ShopClient, read, send};

/// The most orders that order-service returns in one page.
const PAGE: usize = 200;

/// The most pages of one list. A page may be empty although it is not the last one.
const MOST_PAGES: usize = 1_000;

/// Which orders a list has. Without any condition: all, the newest first.
#[derive(Debug, Clone, Default)]
pub struct OrderQuery {
    /// Only orders whose saga has not ended and that had no event for 60 s, the oldest first.
    pub stuck: bool,
    /// Only orders with this status.
    pub status: Option<OrderStatus>,
    /// Only orders of this customer.
    pub customer: Option<CustomerId>,
}

/// A list of orders.
#[derive(Debug, Clone, Default)]
pub struct OrderList {
    /// The orders, in the order of the query.
    pub orders: Vec<OrderView>,
    /// Whether there are more than were asked for.
    pub has_more: bool,
}

impl OrderQuery {
    fn add_to(&self, url: &mut Url, limit: usize, after: Option<OrderId>) {
        let mut parameters = url.query_pairs_mut();
        parameters.append_pair("limit", &limit.to_string());
        if self.stuck {
            parameters.append_pair("stuck", "true");
        }
        if let Some(status) = self.status {
            parameters.append_pair("status", status.name());
        }
        if let Some(customer) = &self.customer {
            parameters.append_pair("customerId", customer.as_str());
        }
        if let Some(after) = after {
            parameters.append_pair("after", &after.to_string());
        }
    }
}

impl ShopClient<'_> {
    /// At most `most` orders.
    pub async fn orders(&self, query: &OrderQuery, most: usize) -> Result<OrderList> {
        let base: Url = format!("{}/orders", self.url(Service::Order).await?).parse()?;
        let mut list = OrderList::default();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let mut url = base.clone();
            let missing = most.saturating_sub(list.orders.len());
            query.add_to(&mut url, missing.clamp(1, PAGE), after);
            let response = send(Service::Order, self.http.get(url)).await?;
            let page: OrderPage = read(Service::Order, response).await?;
            list.orders.extend(page.orders);
            list.has_more = page.next.is_some();
            if list.orders.len() >= most || page.next.is_none() {
                break;
            }
            after = page.next;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_only_what_it_asks_for() {
        let shown = |query: &OrderQuery, after| {
            let mut url: Url = "http://shop/orders".parse().unwrap();
            query.add_to(&mut url, 200, after);
            url.query().unwrap().to_owned()
        };
        assert_eq!(shown(&OrderQuery::default(), None), "limit=200");
        let id = OrderId::now();
        let all = OrderQuery {
            stuck: true,
            status: Some(OrderStatus::Paid),
            customer: Some("cust_1".parse().unwrap()),
        };
        assert_eq!(
            shown(&all, Some(id)),
            format!("limit=200&stuck=true&status=PAID&customerId=cust_1&after={id}")
        );
    }
}
