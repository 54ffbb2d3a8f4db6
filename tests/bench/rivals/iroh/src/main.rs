// SPDX-License-Identifier: GPL-2.0
//! iroh-blobs from one node to the next, for the benchmark of AF_FEED.
//!
//!   feed-rival-iroh serve IP MTU PIECE BYTES
//!   feed-rival-iroh fetch IP MTU ID SERVER SEQUENCE
//!
//! `serve` reads so many bytes, stores them as blobs of PIECE bytes each and one sequence of their
//! hashes, says "ready ID SERVER SEQUENCE DIGEST", and serves until its input ends. `fetch` says
//! "ready"; for every line that it reads it fetches all blobs into a new store and says
//! "SECONDS BYTES DIGEST". Stores are in memory, nothing leaves for relays or name servers.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use blake3::Hasher;
use bytes::Bytes;
use iroh::endpoint::{MtuDiscoveryConfig, QuicTransportConfig, presets};
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, RelayMode};
use iroh_blobs::hashseq::HashSeq;
use iroh_blobs::store::mem::MemStore;
use iroh_blobs::{BlobFormat, BlobsProtocol, Hash, HashAndFormat};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, stdin};

/// Bytes of a frame that are headers of IPv4 and UDP.
const HEADERS: u16 = 28;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", ip, mtu, piece, bytes] => {
            let endpoint = bind(ip.parse()?, mtu.parse()?).await?;
            serve(endpoint, piece.parse()?, bytes.parse()?).await
        }
        ["fetch", ip, mtu, id, server, sequence] => {
            let endpoint = bind(ip.parse()?, mtu.parse()?).await?;
            let server = EndpointAddr::new(id.parse()?).with_ip_addr(server.parse()?);
            fetch(&endpoint, server, sequence.parse()?).await
        }
        _ => bail!("expected: serve IP MTU PIECE BYTES, or fetch IP MTU ID SERVER SEQUENCE"),
    }
}

/// An endpoint at this address that fills the link's frames.
async fn bind(ip: IpAddr, mtu: u16) -> Result<Endpoint> {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu - HEADERS);
    let transport = QuicTransportConfig::builder()
        .mtu_discovery_config(Some(discovery))
        .build();
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr(SocketAddr::new(ip, 0))?
        .transport_config(transport)
        .bind()
        .await?;
    Ok(endpoint)
}

async fn serve(endpoint: Endpoint, piece: usize, bytes: usize) -> Result<()> {
    let store = MemStore::new();
    let mut input = stdin();
    let mut hashes = Vec::new();
    let mut digest = Hasher::new();
    for _ in 0..bytes / piece {
        let mut blob = vec![0; piece];
        input.read_exact(&mut blob).await?;
        digest.update(&blob);
        hashes.push(store.blobs().add_bytes(blob).await?.hash);
    }
    let sequence: HashSeq = hashes.into_iter().collect();
    let sequence = store.blobs().add_bytes(Bytes::from(sequence)).await?.hash;
    let here = endpoint.bound_sockets();
    let here = here.first().context("the endpoint has no address")?;
    println!("ready {} {here} {sequence} {}", endpoint.id(), digest.finalize());
    let blobs = BlobsProtocol::new(&store, None);
    let router = Router::builder(endpoint)
        .accept(iroh_blobs::ALPN, blobs)
        .spawn();
    // Until the benchmark closes it.
    input.read_to_end(&mut Vec::new()).await?;
    router.shutdown().await?;
    Ok(())
}

async fn fetch(endpoint: &Endpoint, server: EndpointAddr, sequence: Hash) -> Result<()> {
    let connection = endpoint.connect(server, iroh_blobs::ALPN).await?;
    println!("ready");
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        let store = MemStore::new();
        let begun = Instant::now();
        let what = HashAndFormat::new(sequence, BlobFormat::HashSeq);
        store.remote().fetch(connection.clone(), what).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let (bytes, digest) = read(&store, sequence).await?;
        println!("{seconds} {bytes} {digest}");
    }
    connection.close(0u8.into(), b"done");
    endpoint.close().await;
    Ok(())
}

/// What has come: its bytes, and their hash.
async fn read(store: &MemStore, sequence: Hash) -> Result<(usize, blake3::Hash)> {
    let sequence = HashSeq::try_from(store.blobs().get_bytes(sequence).await?);
    let (mut bytes, mut digest) = (0, Hasher::new());
    for hash in sequence.ok().context("no sequence of hashes")?.iter() {
        let blob = store.blobs().get_bytes(hash).await?;
        digest.update(&blob);
        bytes += blob.len();
    }
    ensure!(bytes > 0, "nothing has come");
    Ok((bytes, digest.finalize()))
}
