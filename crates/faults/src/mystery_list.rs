//! Every mystery, with its answer. Reading on spoils them.

use crate::mystery::{Level, Mystery};

/// Events of orders that go to the topic directly.
const ORDERS: &[&str] = &["load burst --count 60 --product prod_umbrella"];

/// Orders that customers place over HTTP, so that the shop has to accept them first.
const REQUESTS: &[&str] = &["load burst --count 30 --product prod_umbrella --via http"];

/// Every mystery, in the order of the list. A new one goes to the end: the number of a mystery is its
/// place.
pub(crate) const ALL: &[Mystery] = &[
    Mystery {
        name: "monday-morning",
        level: Level::Easy,
        complaint: "\"I have paid, and nobody confirms my order. The warehouse says that its program has been at work the whole time.\"",
        hints: [
            "Which event do the waiting orders wait for, and which service publishes it? ./sandbox orders --stuck",
            "Read what that service says again and again: ./sandbox logs inventory-service. Then look who is in its group: ./sandbox status",
            "./sandbox status lists the settings that were changed. A batch takes longer than a member may go without a poll, so the member leaves its group in the middle of it.",
        ],
        fault: "poll-interval-exceeded",
        sees_every_repair: true,
        customers: ORDERS,
    },
    Mystery {
        name: "tea-break",
        level: Level::Easy,
        complaint: "\"My order was accepted an hour ago, and my card has not been charged. The page says PENDING, for all of us here.\"",
        hints: [
            "Which group has all of the lag? ./sandbox lag",
            "Its members run and are in their group. So ask what they were asked to do: ./sandbox status, under \"Controls\".",
            "payment-service is paused by a record in sandbox.controls. ./sandbox consumer --help has the verb that ends it.",
        ],
        fault: "paused-consumer",
        sees_every_repair: true,
        customers: ORDERS,
    },
    Mystery {
        name: "wet-umbrella",
        level: Level::Medium,
        complaint: "\"We pay, and no order is confirmed, not a single one. The stock list on the office screen is fine, it is only that nobody can take anything out.\"",
        hints: [
            "Which service has lag, and what does it say of its last batch? ./sandbox status",
            "It waits for something in its database, and gives up after 3 s. Who has it? pg_stat_activity and pg_locks show the sessions: ./sandbox psql inventory_db",
            "A session with another application_name is \"idle in transaction\" and holds rows of products. SELECT pg_terminate_backend(pid) ends it.",
        ],
        fault: "stock-locked",
        sees_every_repair: true,
        customers: ORDERS,
    },
    Mystery {
        name: "green-door",
        level: Level::Medium,
        complaint: "\"Some of us paid and hear nothing more. Others get their confirmation in a second. We have compared: it is always the same article.\"",
        hints: [
            "Nothing waits in a group, so look for what was put elsewhere: ./sandbox lag, then ./sandbox dlq list",
            "Compare what the dead letters are about, and the settings of the service that wrote them: ./sandbox status",
            "inventory-service runs with a setting that makes one product poison. Unset it with ./sandbox restart, then replay the dead letters: the orders still wait for them.",
        ],
        fault: "poison-product",
        sees_every_repair: true,
        customers: &[
            "load burst --count 12 --product prod_umbrella",
            "load burst --count 12 --product prod_123",
        ],
    },
    Mystery {
        name: "long-weekend",
        level: Level::Easy,
        complaint: "\"The shop takes my order with a smile, and then nothing. No payment, no e-mail, no error. It was fine until a few minutes ago.\"",
        hints: [
            "The shop accepts orders. Where do they wait until they are published? ./sandbox status",
            "None of the services is at fault: all of them wait for the same other program.",
            "The broker is paused: connections stay open, and no request is answered. ./sandbox continue has an end to that.",
        ],
        fault: "broker-frozen",
        sees_every_repair: true,
        customers: REQUESTS,
    },
    Mystery {
        name: "blue-kettle",
        level: Level::Hard,
        complaint: "\"A third of our customers is angry: accepted, and then nothing. The other two thirds are happy. The screen in the office says that nothing waits.\"",
        hints: [
            "The records of one partition are not read, although the group seems to be caught up. Which one? ./sandbox logs --order ID of a waiting order (./sandbox orders --status PENDING)",
            "A reader of committed records stops at the last stable offset. Who keeps it there? ./sandbox transactions list",
            "A foreign producer has left a transaction open on payments. ./sandbox kafka transactions describe-producers --topic payments --partition 0 shows the offset at which it starts, and ./sandbox kafka transactions abort, with topic, partition and start offset, ends it.",
        ],
        fault: "open-transaction",
        // Its coordinator still knows a transaction for which someone has written the markers.
        sees_every_repair: false,
        customers: ORDERS,
    },
    Mystery {
        name: "second-floor",
        level: Level::Medium,
        complaint: "\"Payment is quick, but confirmations have stopped. On the second floor they say that they delivered a new version of a program last night.\"",
        hints: [
            "Is every member at work? ./sandbox status says of each one that is not, why.",
            "The members have stopped themselves, after too many records that they could not read. ./sandbox dlq list shows some of these records.",
            "The bad records are in the past: nobody writes more of them. Resume every service that is halted, with ./sandbox consumer.",
        ],
        fault: "bad-release",
        sees_every_repair: true,
        customers: ORDERS,
    },
    Mystery {
        name: "night-bus",
        level: Level::Easy,
        complaint: "\"I cannot order at all. The page thinks for a while, and then there is an error.\"",
        hints: [
            "What do the services that refuse customers wait for? ./sandbox status",
            "order-service cannot write the order. Look at the state of every process, not only of our own services.",
            "PostgreSQL is paused. ./sandbox continue lets it go on.",
        ],
        fault: "database-frozen",
        sees_every_repair: true,
        customers: &[],
    },
    Mystery {
        name: "old-map",
        level: Level::Easy,
        complaint: "\"Nobody's card is charged any more. The colleague who was here yesterday only changed one line, she says.\"",
        hints: [
            "Which group has no member? ./sandbox status",
            "Its process runs and is not ready. Why? The reason is in ./sandbox status and in ./sandbox logs payment-service",
            "payment-service looks for the broker at an address where nothing listens. ./sandbox status lists the changed setting; ./sandbox restart --unset takes it back.",
        ],
        fault: "wrong-bootstrap",
        sees_every_repair: true,
        customers: ORDERS,
    },
    Mystery {
        name: "paper-boat",
        level: Level::Hard,
        complaint: "\"New orders are confirmed at once. But mine of a while ago is paid, and that is the last I have heard of it. There are many of us.\"",
        hints: [
            "Nothing waits in any group, and there is no dead letter. Follow one order: ./sandbox orders --status PAID, then ./sandbox logs --order ID. Where is its last record, and who should have read it?",
            "Compare the offset of that record with what inventory-service-group has committed: ./sandbox kafka consumer-groups --describe --group inventory-service-group. It was never read.",
            "The offsets of the group were moved past records that it had not read. Stop inventory-service, set the offsets of payments back (./sandbox kafka consumer-groups --reset-offsets, --to-earliest is safe: what is read twice changes nothing), and start it.",
        ],
        fault: "offsets-to-end",
        // The fault's check looks for the offsets that `repair` would set again.
        sees_every_repair: false,
        customers: &[],
    },
    Mystery {
        name: "red-bicycle",
        level: Level::Easy,
        complaint: "\"The money is gone at once, and the confirmation takes for ever. It does come, sooner or later, one customer after the other.\"",
        hints: [
            "Which group has lag, and how many records a second does it read? ./sandbox lag",
            "Its member works on one record at a time, and each takes the same time: ./sandbox consumer show inventory-service",
            "Someone has set simulated work for the group inventory-service-group. ./sandbox consumer --help has the verbs that take it back.",
        ],
        fault: "slow-consumer",
        sees_every_repair: true,
        customers: &["load burst --count 150 --product prod_umbrella"],
    },
    Mystery {
        name: "quiet-corner",
        level: Level::Hard,
        complaint: "\"The shop says thank you, and my order stays PENDING. In the office they say that the broker, the database and every program are up, and that no queue is long.\"",
        hints: [
            "An accepted order is first a row in a table. Has its event reached the topic? ./sandbox logs --order ID of a waiting order",
            "It has not: the relay of order-service does not publish. Only one relay may work at a time, the one that holds a lock. Who holds it? pg_locks and pg_stat_activity show that: ./sandbox psql orders_db",
            "A session with another application_name holds the advisory lock. SELECT pg_terminate_backend(pid) ends it.",
        ],
        fault: "outbox-blocked",
        sees_every_repair: true,
        customers: REQUESTS,
    },
    Mystery {
        name: "winter-coat",
        level: Level::Medium,
        complaint: "\"Confirmations have stopped. The colleague on call says that he starts the same program again every few seconds, and that he is tired of it.\"",
        hints: [
            "Which process has just been started, and how often? ./sandbox status",
            "Its last log line says who ends it: ./sandbox logs inventory-service",
            "The controls of the group name a crash point, so each new process dies there, too. ./sandbox consumer clear removes them.",
        ],
        fault: "crash-loop",
        sees_every_repair: true,
        customers: &[],
    },
    Mystery {
        name: "garden-chair",
        level: Level::Easy,
        complaint: "\"My card was charged, and since then there is silence. A friend who ordered ten minutes before me has her things already.\"",
        hints: [
            "Which group has lag and no active member? ./sandbox status",
            "Look at the state of the process of that service.",
            "inventory-service.1 is paused, so the broker has removed it from its group. ./sandbox continue lets it go on.",
        ],
        fault: "member-frozen",
        sees_every_repair: true,
        customers: ORDERS,
    },
    Mystery {
        name: "wooden-spoon",
        level: Level::Hard,
        complaint: "\"Sometimes the confirmation is there at once, sometimes I wait for some seconds and think that it is lost. It has been like this all day, and nothing is ever broken when I call.\"",
        hints: [
            "Read the log of the service that confirms: ./sandbox logs inventory-service. What happens every few seconds?",
            "The partitions move again and again. Who joins the group and leaves it? Call ./sandbox kafka consumer-groups --describe --members --group inventory-service-group several times.",
            "A member with another client id comes and goes. It is no service of the shop, but a process of this machine: ps or docker ps shows it. End it.",
        ],
        fault: "rebalance-storm",
        sees_every_repair: true,
        customers: ORDERS,
    },
];
