//! Open transactions on a real broker, and the markers that end hanging ones.

use bytes::{BufMut, Bytes, BytesMut};
use cluster_reader::ReaderSettings;
use cluster_reader::transactions::{
    OpenTransaction, Outcome, OutcomeUnknown, TransactionStatus, Transactions,
};
use kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_protocol::messages::{
    ApiKey, ProduceResponse, RequestHeader, ResponseHeader, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes, encode_request_header_into_buffer};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::test_cluster::{PATIENCE, TestCluster};

/// The last version of Produce in which the broker does not add the partition to the transaction
/// (KIP-890).
const PRODUCE_VERSION: i16 = 11;

fn transactions(bootstrap: &str) -> Transactions {
    Transactions::new(ReaderSettings {
        bootstrap_servers: bootstrap.to_owned(),
        client_id: "test".to_owned(),
        timeout: PATIENCE,
    })
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// Sends a record of a producer to a partition whether or not the transaction contains it, as a
/// request does that arrives late.
async fn late_produce(bootstrap: &str, producer: &OpenTransaction, partition: i32, sequence: i32) {
    let record = Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence,
        timestamp: now_ms(),
        key: None,
        value: Some(Bytes::from_static(b"late")),
        headers: Default::default(),
    };
    let mut records = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut records, [&record], &options).unwrap();
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records.freeze()));
    let name = StrBytes::from_string(producer.partition.topic.clone());
    let topic = TopicProduceData::default()
        .with_name(TopicName(name))
        .with_partition_data(vec![data]);
    let id = producer.transactional_id.clone().unwrap();
    let request = ProduceRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_string(id))))
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic]);
    let response = exchange(bootstrap, &request).await;
    for partition in response
        .responses
        .iter()
        .flat_map(|one| &one.partition_responses)
    {
        assert_eq!(partition.error_code, 0, "{response:?}");
    }
}

async fn exchange(bootstrap: &str, request: &ProduceRequest) -> ProduceResponse {
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::Produce as i16)
        .with_request_api_version(PRODUCE_VERSION)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    let mut body = BytesMut::new();
    encode_request_header_into_buffer(&mut body, &header).unwrap();
    request.encode(&mut body, PRODUCE_VERSION).unwrap();
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(body.len()).unwrap());
    frame.put(body);
    let mut stream = TcpStream::connect(bootstrap).await.unwrap();
    stream.write_all(&frame).await.unwrap();
    let mut answer = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut answer).await.unwrap();
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, 1).unwrap();
    ProduceResponse::decode(&mut answer, PRODUCE_VERSION).unwrap()
}

/// Without this check, the broker accepts a record of a transaction that the coordinator does not
/// know (`transaction.partition.verification.enable`, KIP-890).
async fn disable_verification(cluster: &TestCluster) {
    // librdkafka has no cluster-wide default; broker 1 is the only one.
    let broker = AlterConfig::new(ResourceSpecifier::Broker(1))
        .set("transaction.partition.verification.enable", "false");
    let results = cluster
        .admin()
        .alter_configs([&broker], &AdminOptions::new())
        .await
        .unwrap();
    results[0].as_ref().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_ongoing_until_it_is_committed() {
    let stack = test_stack::shared().await;
    let cluster = TestCluster::shared("open-transaction").await;
    cluster.topic("t", 2).await;
    let mut transactions = transactions(stack.bootstrap());
    let producer = cluster.transactional("tx");
    producer.begin();
    producer.record("t", 1, now_ms(), b"value");
    producer.flush();
    let of_topic = |all: Vec<OpenTransaction>| {
        let mut all = all;
        all.retain(|one| one.partition.topic == cluster.name("t"));
        all
    };
    let open = of_topic(transactions.list().await.unwrap());
    let [one] = &open[..] else {
        panic!("{open:?}");
    };
    assert_eq!(one.partition, cluster.at("t", 1));
    assert_eq!(one.transactional_id, Some(cluster.name("tx")));
    assert!(
        matches!(one.status, TransactionStatus::Ongoing { timeout, .. } if timeout.as_secs() == 600),
        "{one:?}"
    );
    producer.commit();
    cluster.marked("t").await;
    assert_eq!(of_topic(transactions.list().await.unwrap()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_transaction_is_ended_by_its_recorded_outcome() {
    let stack = test_stack::dedicated().await;
    let bootstrap = stack.bootstrap();
    let cluster = TestCluster::on(&bootstrap, "own-");
    cluster.topic("t", 2).await;
    disable_verification(&cluster).await;
    let mut transactions = transactions(&bootstrap);
    let producer = cluster.transactional("tx");
    producer.begin();
    producer.record("t", 0, now_ms(), b"value");
    producer.flush();
    let ongoing = transactions.list().await.unwrap().remove(0);
    producer.abort();
    cluster.marked("t").await;

    late_produce(&bootstrap, &ongoing, 0, 1).await;
    late_produce(&bootstrap, &ongoing, 1, 0).await;
    let open = transactions.list().await.unwrap();
    let [recorded, unknown] = &open[..] else {
        panic!("{open:?}");
    };
    assert_eq!(recorded.partition, cluster.at("t", 0));
    assert_eq!(recorded.status, TransactionStatus::Hanging);
    assert_eq!(unknown.status, TransactionStatus::Hanging);
    let outcome = transactions.outcome(recorded).await.unwrap().unwrap();
    assert_eq!(outcome.outcome, Outcome::Aborted);
    assert_eq!(
        transactions.outcome(unknown).await.unwrap(),
        Err(OutcomeUnknown::NotRecorded),
        "the transaction did not contain partition 1"
    );

    transactions.write_marker(recorded, &outcome).await.unwrap();
    let left = transactions.list().await.unwrap();
    assert_eq!(left, std::slice::from_ref(unknown));
}
