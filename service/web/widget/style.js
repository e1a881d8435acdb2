/**
 * The element's style sheet. It is constructed, not written into the page, so a content security policy without
 * 'unsafe-inline' allows it. Sites set the custom properties `--winnow-…` and style `::part(…)`.
 */
export const CSS = `
:host{display:inline-block;--a:var(--winnow-accent,light-dark(#1d5fbf,#8ab8ff));--s:var(--winnow-surface,light-dark(#fff,#1b1c20));--t:var(--winnow-text,light-dark(#1d1d20,#ececf0));--q:var(--winnow-quiet,light-dark(#5c5d66,#a9abb6));--l:var(--winnow-line,light-dark(#dcdde3,#3a3c45));--h:var(--winnow-hover,light-dark(#eef3fb,#2a2d38));--m:var(--winnow-mark,light-dark(#ffe9a8,#5a4a12));--r:var(--winnow-radius,10px);font:var(--winnow-font,400 1rem/1.45 system-ui,sans-serif);text-align:start;white-space:normal;text-transform:none;letter-spacing:normal}
:host([hidden]),[hidden]{display:none!important}
:host([layout=inline]){display:block}
:host([scheme=system]){color-scheme:light dark}
:host([theme=auto]){color-scheme:light dark}
:host([theme=light]){color-scheme:light}
:host([theme=dark]){color-scheme:dark}
*{box-sizing:border-box}
button,input{font:inherit;color:inherit}
button{cursor:pointer}
.trigger{display:inline-flex;align-items:center;gap:.5em;padding:.4em .7em;border:1px solid var(--l);border-radius:var(--r);background:var(--s);color:var(--q)}
kbd{padding:0 .4em;border:1px solid var(--l);border-radius:5px;font:inherit;font-size:.8em}
svg{width:1.1em;height:1.1em;flex:none;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round}
dialog{width:min(var(--winnow-width,42rem),calc(100vw - 1.5rem));max-height:min(44rem,calc(100dvh - min(10dvh,6rem) - 1rem));margin:min(10dvh,6rem) auto auto;padding:0;border:1px solid var(--l);border-radius:calc(var(--r)*1.4);background:var(--s);color:var(--t);box-shadow:0 24px 64px -16px rgb(0 0 0/.45);overflow:hidden;overscroll-behavior:contain}
dialog[open]{display:flex}
dialog::backdrop{background:rgb(12 13 18/.55)}
.panel{display:flex;flex-direction:column;flex:1;min-width:0;min-height:0;background:var(--s);color:var(--t)}
.inline{border:1px solid var(--l);border-radius:var(--r)}
.box{display:flex;align-items:center;gap:.6em;padding:.25em .8em;color:var(--q);border-radius:var(--r)}
.inline .box:focus-within{outline:2px solid var(--a);outline-offset:-1px}
input[role=combobox]{flex:1;min-width:0;padding:.65em 0;border:0;background:none;color:var(--t);font-size:max(1.08em,16px);outline:none;appearance:none}
input::placeholder{color:var(--q);opacity:1}
input::-webkit-search-cancel-button{display:none}
.plain{padding:.25em .6em;border:1px solid var(--l);border-radius:7px;background:none;color:var(--q);font-size:.85em}
.trigger:hover,.plain:hover{border-color:var(--a)}
.plain[aria-pressed=true]{background:var(--h);color:var(--t)}
:focus-visible{outline:2px solid var(--a);outline-offset:1px}
.body{flex:1;min-height:0;overflow-y:auto;overscroll-behavior:contain;border-top:1px solid var(--l);padding:.5em}
.inline .body{overflow:visible}
.head:not([hidden])+.body{border:0}
.bar{height:2px;margin-top:-2px;opacity:0;background:linear-gradient(90deg,transparent,var(--a),transparent) 0 0/40% 100% no-repeat}
.busy .bar{opacity:1;animation:sweep 1.1s ease-in-out infinite;transition:opacity 0s .25s}
@keyframes sweep{from{background-position:-60% 0}to{background-position:160% 0}}
.head{padding:.7em 1.4em 0;border-top:1px solid var(--l);color:var(--q);font-size:.82em;font-weight:600}
.option{display:block;padding:.55em .7em;border-radius:var(--r);color:inherit;text-decoration:none;cursor:pointer;scroll-margin:.5em}
.option:hover{background:var(--h)}
:is(.option,[role=row]):is([aria-selected=true],:has([aria-selected=true])){background:var(--h);box-shadow:inset 3px 0 var(--a)}
[dir=rtl] :is(.option,[role=row]):is([aria-selected=true],:has([aria-selected=true])){box-shadow:inset -3px 0 var(--a)}
.title{color:var(--a);font-weight:600}
.path,.why{color:var(--q);font-size:.8em}
.title,.path,.text,.why{display:block;overflow-wrap:anywhere}
.title,.path,.text{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden}
.why{margin-top:.2em;font-variant-numeric:tabular-nums}
.text{margin-top:.1em;font-size:.9em;-webkit-line-clamp:4}
mark{background:var(--m);color:inherit;border-radius:3px}
.facets{display:flex;flex-wrap:wrap;gap:.3em 1em;padding:.2em .6em .5em;font-size:.85em}
fieldset{display:flex;flex-wrap:wrap;align-items:center;gap:.2em .7em;margin:0;padding:0;border:0;min-width:0}
legend{float:inline-start;padding:0;color:var(--q);font-weight:600}
label{display:inline-flex;align-items:center;gap:.3em;overflow-wrap:anywhere}
input[type=checkbox]{accent-color:var(--a);margin:0}
.count{color:var(--q)}
.state{padding:1.4em .8em;text-align:center;color:var(--q);overflow-wrap:anywhere}
.state p{margin:0 0 .7em;color:var(--t)}
.note{margin:.2em .6em .5em;padding:.4em .7em;border-inline-start:3px solid light-dark(#b26a00,#ffb74d);background:var(--h);font-size:.85em}
.foot{display:flex;flex-wrap:wrap;align-items:center;gap:.5em;padding:.5em .8em;border-top:1px solid var(--l);color:var(--q);font-size:.85em}
.foot .said{margin-inline-end:auto}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:40rem){kbd{display:none}dialog{margin-top:.75rem;max-height:calc(100dvh - 1.5rem)}}
@media (forced-colors:active){[aria-selected=true]{outline:2px solid Highlight}}
@media (prefers-reduced-motion:reduce){.busy .bar{animation:none;background:var(--a)}}
`;
