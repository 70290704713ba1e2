//! A client that reads events more slowly than they are deleted.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::bad_input::topology;
use crate::patience::{Patience, patiently};
use crate::server::Server;

/// Follows the events after the first one, and reads so little at a time that the service has to
/// wait.
async fn follow(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(server.address().parse().unwrap()).await.unwrap();
    let ask = format!(
        "GET /api/events?last_event_id=1 HTTP/1.1\r\nhost: {}\r\n\r\n",
        server.address()
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    stream
}

/// The events up to the one with that number: number and kind of each.
async fn read_to(stream: &mut TcpStream, last: u64) -> Vec<(u64, String)> {
    let (mut told, mut text) = (Vec::new(), String::new());
    loop {
        if let Some(end) = text.rfind("\n\n") {
            let whole: String = text.drain(..end + 2).collect();
            let events = crate::events::read(&whole);
            told.extend(events.into_iter().map(|(number, kind, _)| (number, kind)));
        }
        if told.last().is_some_and(|(number, _)| *number >= last) {
            return told;
        }
        let mut some = vec![0; 1 << 16];
        let count = patiently("no further event", stream.read(&mut some))
            .await
            .unwrap();
        assert!(count > 0, "the stream ended");
        text.push_str(std::str::from_utf8(&some[..count]).unwrap());
    }
}

/// Writes more events than the sockets' buffers hold, each as large as a long error.
fn write_many(server: &Server) {
    let path = server.data.path().join("journal.sqlite");
    let mut journal = rusqlite::Connection::open(path).unwrap();
    let event = json!({"event": "drift", "at": "2100-01-01T00:00:00Z", "differences": "x".repeat(1000)});
    let transaction = journal.transaction().unwrap();
    for _ in 0..10_000 {
        transaction
            .execute("INSERT INTO events (event) VALUES (?1)", [event.to_string()])
            .unwrap();
    }
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_client_that_is_overtaken_in_the_middle_of_its_stream_is_told_so() {
    let server = Server::start_with(&["--keep-executions", "2"]);
    server.put("/api/topology", &topology()).await;
    write_many(&server);
    let mut stream = follow(&server).await;
    // Executions that are deleted take all events before them along.
    for _ in 0..4 {
        server.put("/api/execute", &json!({})).await;
    }
    let mut patience = Patience::every(Duration::from_millis(50));
    while server.get("/api/executions").await.body["executions"]
        .as_array()
        .unwrap()
        .len()
        > 2
    {
        patience.wait(|| "nothing is dropped".to_owned()).await;
    }
    let mut told = vec![(1, String::new())];
    told.extend(read_to(&mut stream, crate::events::newest(&server).await).await);
    let mut resets = 0;
    for pair in told.windows(2) {
        let ((before, _), (after, kind)) = (&pair[0], &pair[1]);
        assert!(after > before, "{before} and then {after}");
        if kind == "reset" {
            resets += 1;
        } else {
            assert_eq!(
                *after,
                before + 1,
                "some are left out, and nobody says so: {kind}"
            );
        }
    }
    assert!(told.len() > 10, "it was in the middle of its stream");
    assert_eq!(resets, 1, "{:?}", told.last());
    assert_eq!(told.last().unwrap().1, "finished");
}
