//! Requests of Kafka's protocol that no client of the workspace sends: commit for any group, and
//! delete records. They are encoded by hand, in the last version without compact fields.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use test_stack::eventually;
use tokio::task::spawn_blocking;

const DEADLINE: Duration = Duration::from_secs(60);

/// API key and version.
const OFFSET_COMMIT: (i16, i16) = (8, 5);
const DELETE_RECORDS: (i16, i16) = (21, 1);
const FIND_COORDINATOR: (i16, i16) = (10, 2);

#[derive(Default)]
struct Request(Vec<u8>);

impl Request {
    fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as i16).to_be_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn number(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    fn i32(self, number: i32) -> Self {
        self.number(number.to_be_bytes())
    }

    fn i64(self, number: i64) -> Self {
        self.number(number.to_be_bytes())
    }

    /// Returns the response without its correlation id.
    async fn send(self, broker: &str, (key, version): (i16, i16)) -> std::io::Result<Vec<u8>> {
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend(1_i32.to_be_bytes());
        frame.extend((-1_i16).to_be_bytes());
        frame.extend(self.0);
        let broker = broker.to_owned();
        let response = spawn_blocking(move || {
            let mut stream = TcpStream::connect(broker)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            stream.write_all(&(frame.len() as i32).to_be_bytes())?;
            stream.write_all(&frame)?;
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut answer = vec![0; i32::from_be_bytes(length) as usize];
            stream.read_exact(&mut answer)?;
            Ok(answer.split_off(4))
        });
        response.await.unwrap()
    }
}

/// The last two bytes of a response about one partition.
fn error_code(answer: &[u8]) -> i16 {
    i16::from_be_bytes(*answer.last_chunk::<2>().unwrap())
}

/// Commits an offset for a group without members.
pub async fn commit(broker: &str, group: &str, topic: &str, partition: i32, offset: i64) {
    eventually(DEADLINE, "an offset is committed", async || {
        // Creates the topic __consumer_offsets on a new broker.
        let find = Request::default().text(group).number([0]);
        find.send(broker, FIND_COORDINATOR)
            .await
            .map_err(|error| error.to_string())?;
        let request = Request::default().text(group).i32(-1).text("");
        let request = request.i32(1).text(topic).i32(1);
        let request = request
            .i32(partition)
            .i64(offset)
            .number((-1_i16).to_be_bytes());
        let answer = request
            .send(broker, OFFSET_COMMIT)
            .await
            .map_err(|error| error.to_string())?;
        match error_code(&answer) {
            0 => Ok(()),
            code => Err(format!("error {code}")),
        }
    })
    .await;
}

/// Deletes the records of a partition before this offset, as retention does.
pub async fn delete_records(broker: &str, topic: &str, partition: i32, before: i64) {
    eventually(DEADLINE, "records are deleted", async || {
        let request = Request::default().i32(1).text(topic).i32(1);
        let request = request.i32(partition).i64(before).i32(10_000);
        let answer = request
            .send(broker, DELETE_RECORDS)
            .await
            .map_err(|error| error.to_string())?;
        match error_code(&answer) {
            0 => Ok(()),
            code => Err(format!("error {code}")),
        }
    })
    .await;
}
