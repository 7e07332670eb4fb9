//! What goes on beside sign-ins in a day; each of these goes on until it is stopped.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    admin::Administrator,
    client::{Connection, Error, Result},
    flow::Worker,
    servers::{Party, with_agent},
    storm::wrong_secret,
};

/// Between two pages that nobody signs in to, or two grants that are left to run out.
const OFTEN: Duration = Duration::from_millis(5);
/// Between two wrong secrets.
const GUESSES: Duration = Duration::from_millis(20);
/// Between two readings of the log.
const READINGS: Duration = Duration::from_secs(1);
/// Between two rounds of administration, each of which leaves a dozen events for good.
const ROUNDS: Duration = Duration::from_secs(3);
/// Between two rotations of each kind of key: longer than a new one waits for its turn.
const ROTATIONS: Duration = Duration::from_secs(6);
/// Pages that are held open until they run out.
const HELD: usize = 20;
/// The first number of an agent that comes and goes; the others have lower ones.
const FIRST: usize = 1_000_000;

/// What each of them needs.
#[derive(Clone)]
struct Scene {
    to: SocketAddr,
    party: Arc<Party>,
    stop: CancellationToken,
}

impl Scene {
    /// Whether to go on, after a pause.
    async fn goes_on(&self, pause: Duration) -> bool {
        let pause = tokio::time::sleep(pause);
        self.stop.run_until_cancelled(pause).await.is_some()
    }

    /// A browser and an agent.
    async fn worker(&self) -> Result<Worker> {
        Worker::new(self.to, Arc::clone(&self.party)).await
    }
}

/// Begins all of it. Ends of grants and of pages come by themselves, for nothing lives long.
pub(crate) fn begin(
    to: SocketAddr,
    parties: &[Arc<Party>],
    stop: &CancellationToken,
) -> JoinSet<Result<()>> {
    let scene = |n: usize| Scene {
        to,
        party: Arc::clone(&parties[n % parties.len()]),
        stop: stop.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(abandon(scene(0)));
    tasks.spawn(keep(scene(1)));
    tasks.spawn(guess(scene(2)));
    tasks.spawn(administer(scene(3)));
    tasks.spawn(rotate(scene(0)));
    tasks.spawn(read(scene(0)));
    tasks.spawn(follow(scene(0)));
    for n in 0..HELD {
        tasks.spawn(hold(scene(n)));
    }
    tasks
}

/// Opens pages that nobody signs in to, and goes away.
async fn abandon(scene: Scene) -> Result<()> {
    loop {
        scene.worker().await?.wait().await?;
        if !scene.goes_on(OFTEN).await {
            return Ok(());
        }
    }
}

/// Opens pages that nobody signs in to, and stays until they have run out.
async fn hold(scene: Scene) -> Result<()> {
    loop {
        let mut worker = scene.worker().await?;
        worker.wait().await?;
        let mut stream = worker.into_stream();
        let until_it_ends = async {
            while stream.event().await?.is_some() {}
            Ok::<_, Error>(())
        };
        match scene.stop.run_until_cancelled(until_it_ends).await {
            Some(ended) => ended?,
            None => return Ok(()),
        }
    }
}

/// Signs in, refreshes, and lets the grant run out by itself.
async fn keep(scene: Scene) -> Result<()> {
    let mut worker = scene.worker().await?;
    loop {
        let (_, mut refresh_token) = worker.sign_in().await?;
        for _ in 0..3 {
            refresh_token = worker.refresh(&refresh_token).await?;
        }
        if !scene.goes_on(OFTEN).await {
            return Ok(());
        }
    }
}

/// Wrong secrets, of an agent and of a website.
async fn guess(scene: Scene) -> Result<()> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let mut connection = Connection::open(scene.to).await?;
    let wrong = format!("{}:{}", scene.party.client_id, "x".repeat(57));
    let wrong = format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(wrong));
    loop {
        let agent = wrong_secret(&mut connection, &scene.party.agent.id, "").await?;
        let website = connection.post("/introspect", &wrong, FORM, "token=x");
        for answer in [agent, website.await?] {
            if answer.status != 401 {
                return Err(format!("a wrong secret: {}", answer.head).into());
            }
        }
        if !scene.goes_on(GUESSES).await {
            return Ok(());
        }
    }
}

/// Agents, their owners and websites come and go.
async fn administer(scene: Scene) -> Result<()> {
    let mut administrator = Administrator::of(scene.to).await?;
    let none = Value::Null;
    for number in FIRST.. {
        let agent = administrator.agent(number).await?;
        let (id, owner) = (agent.id.clone(), agent.owner_id.clone());
        let party = with_agent(&scene.party, agent);
        Worker::new(scene.to, party).await?.sign_in().await?;
        let renamed = json!({ "agent_name": "Renamed" });
        for (method, what, body) in [
            ("PUT", format!("agents/{id}"), &renamed),
            ("POST", format!("agents/{id}/suspend"), &none),
            ("POST", format!("agents/{id}/reinstate"), &none),
            ("DELETE", format!("agents/{id}"), &none),
            ("DELETE", format!("owners/{owner}"), &none),
        ] {
            administrator.change(method, &what, body).await?;
        }
        let (id, _) = administrator.website("ES256").await?;
        let renamed = json!({ "client_name": "Renamed" });
        for (method, what, body) in [
            ("PUT", format!("clients/{id}"), &renamed),
            ("POST", format!("clients/{id}/rotate-secret"), &none),
            ("DELETE", format!("clients/{id}"), &none),
        ] {
            administrator.change(method, &what, body).await?;
        }
        if !scene.goes_on(ROUNDS).await {
            break;
        }
    }
    Ok(())
}

/// New keys of both kinds.
async fn rotate(scene: Scene) -> Result<()> {
    let mut administrator = Administrator::of(scene.to).await?;
    loop {
        for keys in [
            json!({ "use": "signing", "alg": "ES256" }),
            json!({ "use": "derivation" }),
        ] {
            administrator.change("POST", "keys/rotate", &keys).await?;
        }
        if !scene.goes_on(ROTATIONS).await {
            return Ok(());
        }
    }
}

/// Reads what the log told last.
async fn read(scene: Scene) -> Result<()> {
    let mut administrator = Administrator::of(scene.to).await?;
    loop {
        let after = administrator.log_head().await?.saturating_sub(500);
        let what = format!("audit-log?limit=200&after={after}");
        administrator.look(&what).await?;
        if !scene.goes_on(READINGS).await {
            return Ok(());
        }
    }
}

/// Follows the log as it grows.
async fn follow(scene: Scene) -> Result<()> {
    let mut tail = Administrator::of(scene.to).await?.tail().await?;
    while let Some(event) = scene.stop.run_until_cancelled(tail.event()).await {
        if event?.is_none() {
            return Err("the tail of the log ended".into());
        }
    }
    Ok(())
}
