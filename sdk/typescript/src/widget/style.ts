/**
 * The button's looks. A constructed style sheet needs no `style-src` of the website's policy; the
 * file is served as it stands here, so it is written tersely.
 *
 * Colours follow the page's own `color-scheme`, unless `theme` says otherwise: a dark system does not
 * darken the button on a website that knows light alone.
 */
export const STYLE = `
:host{display:inline-flex;flex-direction:column;max-inline-size:100%;vertical-align:middle;--ground:#fff;--over:#f0f4f2;--ink:#1c2321;--line:#717b77;--mark:#2f6b5f;--key:#fff;--bad:#9b2c13}
@supports(color:light-dark(#000,#fff)){:host{--ground:light-dark(#fff,#1d2321);--over:light-dark(#f0f4f2,#2a3330);--ink:light-dark(#1c2321,#e8ecea);--line:light-dark(#717b77,#8b9692);--mark:light-dark(#2f6b5f,#7cc4b3);--key:light-dark(#fff,#10201c);--bad:light-dark(#9b2c13,#f2a48f)}}
:host([hidden]){display:none}
:host([theme=light]){color-scheme:light}
:host([theme=dark]){color-scheme:dark}
button{display:flex;align-items:center;justify-content:center;gap:.75em;box-sizing:border-box;inline-size:100%;min-block-size:44px;min-inline-size:44px;margin:0;padding-block:.5em;padding-inline:.75em 1.125em;border:1px solid var(--line);border-radius:8px;background:var(--ground);color:var(--ink);font:600 1rem/1.25 system-ui,sans-serif;text-align:center;cursor:pointer;-webkit-tap-highlight-color:transparent;transition:background-color .15s}
button:hover{background:var(--over)}
button:focus-visible{outline:3px solid var(--mark);outline-offset:2px;box-shadow:0 0 0 2px var(--ground)}
button:disabled{opacity:.55;cursor:not-allowed}
button[aria-disabled]{cursor:progress}
svg{flex:none;inline-size:1.5em;block-size:1.5em}
rect{fill:var(--mark)}
circle,path{fill:none;stroke:var(--key);stroke-width:3;stroke-linecap:round}
span{overflow-wrap:anywhere}
p{inline-size:0;min-inline-size:100%;box-sizing:border-box;margin:.5rem 0 0;padding:.5rem .75rem;border:1px solid var(--bad);border-radius:8px;background:var(--ground);color:var(--bad);font:400 .875rem/1.45 system-ui,sans-serif;text-align:start;overflow-wrap:anywhere}
p:empty{margin:0;padding:0;border:0}
@media(prefers-reduced-motion:reduce){button{transition:none}}
@media(forced-colors:active){button:disabled{opacity:1}rect{fill:none;stroke:currentColor;stroke-width:2}circle,path{stroke:currentColor}}
`;
