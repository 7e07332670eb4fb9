//! What the demo needs: the server on a fresh database, the website registered with it, an agent.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde_json::{Value, json};
use url::Url;

use super::{
    folder::TemporaryFolder,
    website::{BUTTON_CALLBACK, Website},
};
use crate::{
    cli::{
        Failure,
        admin::Remote,
        doors::Doors,
        oidc::{Registration, RelyingParty},
        secret::SecretFile,
    },
    config::Config,
    crypto::Secret,
    http::{FirstStart, Server, StartError},
};

/// Where ports are looked for unless one is named: this many from the usual one on.
const PORTS_TRIED: u16 = 100;
const SERVER_PORT: u16 = 3000;
const WEBSITE_PORT: u16 = 3001;
/// What the demo's agent says it runs on.
pub(super) const MODEL: &str = "demo-model-1";

/// The person behind the demo's agent.
pub(super) const OWNER: &str = "Ada Lovelace";

/// Everything, running.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) website: Website,
    pub(super) agent: DemoAgent,
    /// Dropped last: the database is in it.
    _folder: TemporaryFolder,
}

/// The agent that signs in.
pub(super) struct DemoAgent {
    pub(super) id: String,
    pub(super) secret: Secret,
    /// For the line that a person pastes.
    pub(super) secret_file: PathBuf,
}

impl Stage {
    /// Starts and registers everything.
    pub(super) async fn set(port: Option<u16>, website_port: Option<u16>) -> Result<Self, Failure> {
        let folder = TemporaryFolder::make()
            .map_err(|error| Failure::failed(format!("cannot make a folder: {error}")))?;
        let server = start_server(&folder, port).await?;
        let stop = server.stop_token();
        let set = Self::furnish(&server, &folder, website_port).await;
        match set {
            Ok((website, agent)) => Ok(Self {
                server,
                website,
                agent,
                _folder: folder,
            }),
            Err(failure) => {
                stop.cancel();
                server.wait().await;
                Err(failure)
            }
        }
    }

    async fn furnish(
        server: &Server,
        folder: &TemporaryFolder,
        website_port: Option<u16>,
    ) -> Result<(Website, DemoAgent), Failure> {
        let key = server.first_admin_key().cloned();
        let key = key.ok_or_else(|| Failure::failed("the server made no admin key"))?;
        let issuer = server.issuer().to_owned();
        let admin = Remote::new(issuer.clone(), key)?;
        let doors = Doors::open(website_port, WEBSITE_PORT, PORTS_TRIED).await?;
        let origin = doors.origin();

        let redirect_uri = format!("{origin}/callback");
        let button_redirect_uri = format!("{origin}{BUTTON_CALLBACK}");
        let client = json!({
            "client_name": "Demo website",
            "redirect_uris": [redirect_uri, button_redirect_uri],
            "token_endpoint_auth_method": "client_secret_basic",
        });
        let client = admin.post("/api/admin/clients", &client).await?;
        let registration = Registration {
            issuer,
            client_id: text(&client, "client_id")?,
            client_secret: Some(Secret::from(text(&client, "client_secret")?)),
            posts_secret: false,
            redirect_uri,
        };
        let relying_party = RelyingParty::discover(registration).await?;
        let button_redirect_uri = Url::parse(&button_redirect_uri).map_err(Failure::failed)?;
        let website = Website::start(doors, relying_party, button_redirect_uri)?;

        let agent = json!({
            "agent_name": "Demo agent", "user_email": "ada@example.com", "user_name": OWNER,
            "model": MODEL,
        });
        let agent = admin.post("/api/admin/agents", &agent).await?;
        let secret = Secret::from(text(&agent, "agent_secret")?);
        let secret_file = folder.path().join("agent.secret");
        SecretFile::create(&secret_file)?
            .write(secret.expose())
            .map_err(|error| Failure::failed(format!("{}: {error}", secret_file.display())))?;
        Ok((
            website,
            DemoAgent {
                id: text(&agent, "agent_id")?,
                secret,
                secret_file,
            },
        ))
    }

    /// The server's address.
    pub(super) fn issuer_url(&self) -> Result<Url, Failure> {
        Url::parse(self.server.issuer()).map_err(Failure::failed)
    }

    /// Ends everything in good order.
    pub(super) async fn strike(self) {
        let Self {
            server,
            website,
            agent: _,
            _folder,
        } = self;
        website.stop().await;
        server.stop_token().cancel();
        server.wait().await;
    }
}

fn text(answer: &Value, field: &str) -> Result<String, Failure> {
    let text = answer[field].as_str().map(ToOwned::to_owned);
    text.ok_or_else(|| Failure::failed(format!("the server's answer has no {field}")))
}

/// The server, on the port named, or on the first that is free.
async fn start_server(folder: &TemporaryFolder, port: Option<u16>) -> Result<Server, Failure> {
    let (first, tries) = port.map_or((SERVER_PORT, PORTS_TRIED), |port| (port, 1));
    let mut tried = first;
    loop {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, tried));
        let config = Config::with_defaults(listen, &folder.path().join("data"))?;
        let beginning = FirstStart {
            keeps_admin_key: false,
            new_database: false,
        };
        match Server::start(&config, beginning).await {
            Err(StartError::Listen(_, error))
                if error.kind() == io::ErrorKind::AddrInUse && tried - first + 1 < tries =>
            {
                tried += 1;
            }
            Err(error @ StartError::Listen(..)) => {
                let told = format!("{error}: choose another port with --port");
                return Err(Failure::usage(told));
            }
            started => return Ok(started?),
        }
    }
}
