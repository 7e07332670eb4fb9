"""The whole way: a website's button, the waiting page, the library, and the website again."""

from support.drivers import Tab, until
from support.issuer import Issuer
from support.shop import Shop


async def test_from_the_button_to_the_website_signed_in(
    tab: Tab, agent: dict[str, str], issuer: Issuer
) -> None:
    with Shop(issuer) as shop:
        await tab.goto(shop.origin)
        await until(tab, "customElements.get('auth-agent-signin') !== undefined")
        await tab.run("document.querySelector('auth-agent-signin').click()")
        await until(tab, f"location.href.startsWith('{issuer.url}/authorize/req_')")
        done = await tab.sign_in(agent, expected_origin=shop.origin)
        assert done.binding == "browser"
        await until(tab, "document.querySelector('h1')?.textContent === 'Hello Ada Lovelace'")
        assert await tab.run("location.pathname + location.search") == "/callback"
