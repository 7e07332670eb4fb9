//! The servers under load, each a child process; and who signs in to the real one.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{
    admin::{ADMIN_KEY, Administrator},
    client::{Connection, Error, Result},
    null,
    watchdog::{self, Ending},
};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// Where the website is. Nobody goes there.
pub(crate) const REDIRECT_URI: &str = "https://profilio.example/callback";

/// A running server; killed when dropped, and when the harness ends in any other way.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The null server: this very program once more.
    pub(crate) fn null() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(null::ARGUMENT)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        watchdog::watch(child.id(), Ending::Kill);
        let mut line = String::new();
        let output = child.stdout.take().ok_or("its output is a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
        })
    }

    /// `auth-agent serve` on SQLite in a fresh folder, ready to answer; how much it can do is the
    /// question, not how much one caller may.
    pub(crate) async fn auth_agent(folder: &Path) -> Result<Self> {
        // Pages that are opened early must still wait when their turn comes.
        let settings = ["--limits", "off", "--request-lifetime", "7200"];
        Self::auth_agent_with(folder, &settings).await
    }

    /// The same with those settings.
    pub(crate) async fn auth_agent_with(folder: &Path, settings: &[&str]) -> Result<Self> {
        let mut last: Error = "not tried".into();
        for _ in 0..5 {
            match Self::try_auth_agent(folder, settings).await {
                Ok(server) => return Ok(server),
                // Somebody else may have taken the port meanwhile.
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn try_auth_agent(folder: &Path, settings: &[&str]) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = folder.join("server.log");
        let output = File::create(&log)?;
        let child = program(folder)
            .args(["serve", "--listen", &address.to_string()])
            .args(settings)
            .env("AUTH_AGENT_ADMIN_KEY", ADMIN_KEY)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        watchdog::watch(child.id(), Ending::Kill);
        let mut server = Self { child, address };
        let start = Instant::now();
        while !server.is_ready().await {
            if server.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                return Err(std::fs::read_to_string(&log)?.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.address).await else {
            return false;
        };
        connection
            .get("/api/ready", "")
            .await
            .is_ok_and(|response| response.status == 200)
    }

    /// What the system says of the process.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        watchdog::forget(self.child.id());
        // An error means that it had ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A call of auth-agent with the data in that folder, which nothing in the caller's environment reaches.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth-agent"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AUTH_AGENT_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
        .env("AUTH_AGENT_DATA_DIR", folder.join("data"))
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// What a process has used, where the system tells (Linux); zero elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Seconds of processor time, in hundredths.
    pub(crate) cpu: f64,
    /// Resident memory in MiB.
    pub(crate) memory: f64,
}

impl Usage {
    /// Of a process by its number, or of `self`.
    pub(crate) fn of(process: &str) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}"));
        // After the name, which may hold anything: state is field 3, utime 14, stime 15.
        let stat = read("stat").unwrap_or_default();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        let ticks = |field: usize| fields.get(field).and_then(|text| text.parse().ok());
        let cpu: f64 = ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0);
        let status = read("status").unwrap_or_default();
        let memory = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        Self {
            cpu: cpu / 100.0,
            memory: memory.unwrap_or(0.0) / 1024.0,
        }
    }
}

/// An agent that signs in, with a website that it signs in to.
pub(crate) struct Party {
    /// The website's id.
    pub(crate) client_id: String,
    /// `Authorization: Basic …`, a whole header line.
    pub(crate) basic: String,
    /// What a proxy before the server tells of browser and agent, whole header lines.
    pub(crate) forwarded: String,
    /// The agent.
    pub(crate) agent: Arc<Agent>,
}

/// An agent.
pub(crate) struct Agent {
    /// Its id.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: String,
    /// Its owner's id.
    pub(crate) owner_id: String,
}

impl Party {
    /// Those who sign in to a server that knows nobody.
    pub(crate) fn nobody() -> Self {
        let agent = Agent {
            id: format!("agent_{:032x}", 1),
            secret: "x".repeat(57),
            owner_id: format!("owner_{:032x}", 1),
        };
        Self::new(
            format!("client_{:032x}", 1),
            &"x".repeat(57),
            Arc::new(agent),
        )
    }

    fn new(client_id: String, secret: &str, agent: Arc<Agent>) -> Self {
        let basic = BASE64_STANDARD.encode(format!("{client_id}:{secret}"));
        Self {
            client_id,
            basic: format!("authorization: Basic {basic}\r\n"),
            forwarded: String::new(),
            agent,
        }
    }
}

/// Registers `number` agents; the result has, for each algorithm of ID tokens, one website with
/// all of them.
pub(crate) async fn register(
    server: &Server,
    algorithms: &[&str],
    number: usize,
) -> Result<Vec<Vec<Arc<Party>>>> {
    let mut administrator = Administrator::of(server.address).await?;
    let mut agents = Vec::with_capacity(number);
    for n in 0..number {
        agents.push(Arc::new(administrator.agent(n).await?));
    }
    let mut parties = Vec::with_capacity(algorithms.len());
    for algorithm in algorithms {
        let (id, secret) = administrator.website(algorithm).await?;
        let of = |agent| Arc::new(Party::new(id.clone(), &secret, Arc::clone(agent)));
        parties.push(agents.iter().map(of).collect());
    }
    Ok(parties)
}

/// The same website with another agent.
pub(crate) fn with_agent(party: &Party, agent: Agent) -> Arc<Party> {
    Arc::new(Party {
        client_id: party.client_id.clone(),
        basic: party.basic.clone(),
        forwarded: party.forwarded.clone(),
        agent: Arc::new(agent),
    })
}

/// The same with the network address of a browser and an agent, an IPv4 one by its number.
pub(crate) fn calling_from(party: &Party, address: u32) -> Arc<Party> {
    Arc::new(Party {
        client_id: party.client_id.clone(),
        basic: party.basic.clone(),
        forwarded: forwarded(address),
        agent: Arc::clone(&party.agent),
    })
}

/// The header line by which a proxy tells of an address.
pub(crate) fn forwarded(address: u32) -> String {
    format!("x-forwarded-for: {}\r\n", Ipv4Addr::from_bits(address))
}

/// A member that is a text.
pub(crate) fn text(json: &Value, member: &str) -> Result<String> {
    let text = json[member].as_str().map(ToOwned::to_owned);
    text.ok_or_else(|| format!("no {member} in {json}").into())
}
