//! `GET /widget/signin-button.js`, as websites of other origins load it. What the button does is
//! tested beside its source, in sdk/typescript.

use reqwest::header;

use crate::support::{Api, Reply, on_both_databases};

const PATH: &str = "/widget/signin-button.js";
const BUILT: &str = include_str!("../../static/signin-button.js");

async fn known(api: &Api, path: &str, tags: &str) -> Reply {
    let call = api.get(path).header(header::IF_NONE_MATCH, tags);
    api.send(call).await
}

on_both_databases! {
    async fn websites_of_any_origin_load_the_button(env: Env) {
        let api = env.api().await;
        let call = api.get(PATH).header(header::ORIGIN, "https://website.example");
        let reply = api.send(call).await.expect(200);
        assert_eq!(reply.text, BUILT);
        assert_eq!(reply.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert_eq!(reply.header("access-control-allow-credentials"), "");
        assert_eq!(reply.header("cross-origin-resource-policy"), "cross-origin");
        assert_eq!(reply.header("set-cookie"), "");
    }

    async fn a_button_is_kept_for_an_hour_and_one_of_a_version_for_ever(env: Env) {
        let api = env.api().await;
        let plain = api.send(api.get(PATH)).await.expect(200);
        assert_eq!(plain.header("cache-control"), "public, max-age=3600");
        let tag = plain.header("etag");
        let version = tag.trim_matches('"');
        assert_eq!(tag, format!("\"{version}\""), "a strong one");

        let versioned = format!("{PATH}?v={version}");
        let of_a_version = api.send(api.get(&versioned)).await.expect(200);
        assert_eq!(of_a_version.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(of_a_version.text, plain.text);
        for other in ["?v=0000000000000000", "?v=", "?v=%FF&v="] {
            let reply = api.send(api.get(&format!("{PATH}{other}"))).await.expect(200);
            assert_eq!(reply.header("cache-control"), "no-cache", "{other}");
            assert_eq!(reply.text, plain.text, "{other}");
        }

        for tags in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let reply = known(&api, PATH, tags).await.expect(304);
            assert_eq!(reply.text, "", "{tags}");
            assert_eq!(reply.header("etag"), tag, "{tags}");
            assert_eq!(reply.header("access-control-allow-origin"), "*", "{tags}");
            assert_eq!(reply.header("cache-control"), plain.header("cache-control"), "{tags}");
        }
        for tags in ["\"x\"", "", "\"\""] {
            known(&api, PATH, tags).await.expect(200);
        }
    }

    async fn below_an_issuer_with_a_path_the_button_is_there_too(env: Env) {
        let server = env.start(|options| { options.issuer("https://auth.example/tenant/One"); }).await;
        let api = server.api();
        assert_eq!(api.send(api.get(PATH)).await.expect(200).text, BUILT);
        let outside = format!("{}{PATH}", server.base_url());
        assert_eq!(api.send(api.get(&outside)).await.status, 404);
    }
}
