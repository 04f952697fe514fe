// The look of reports: one column on a phone, plots side by side where there is room, light or dark as the
// reader's system is.
export const REPORT_STYLE = `
:root{color-scheme:light dark;--page:#fff;--text:#1c2127;--soft:#5c6670;--rule:#d9dee3;--panel:#f5f7f9;--good:#1a7f37;--bad:#b42318;--open:#8a6100;
--series-0:#1f6feb;--series-1:#d1242f;--series-2:#1a7f37;--series-3:#8250df;--series-4:#bc4c00;--series-5:#0b7285;--series-6:#bf3989;--series-7:#57606a}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--text:#e3e8ed;--soft:#98a3ad;--rule:#333b44;--panel:#1c2229;--good:#4ac26b;--bad:#ff7b72;--open:#e3b341;
--series-0:#6cb0ff;--series-1:#ff8f88;--series-2:#5ad17b;--series-3:#c297ff;--series-4:#ffa657;--series-5:#4fd0e3;--series-6:#ff9bce;--series-7:#b1bac4}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2}h2{margin-top:2.2rem;border-bottom:1px solid var(--rule);font-size:1.25rem}h3{margin-bottom:.3rem;font-size:1.05rem}
p,li{max-width:46rem}.soft{color:var(--soft);font-size:.9rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem}
figure{margin:0;padding:.5rem;border:1px solid var(--rule);border-radius:.5rem;background:var(--panel)}figcaption{font-size:.9rem}
svg{display:block;width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--text)}svg .tick{fill:var(--soft);font-size:10px}svg .mark{font-size:10px;font-weight:600}
.grid{stroke:var(--rule);stroke-width:.7}.guide{stroke:var(--soft);stroke-dasharray:4 3}.bar{stroke-width:2;opacity:.7}.line{fill:none;stroke-width:2}.seed{fill:var(--text);opacity:.55}
${Array.from({ length: 8 }, (_, i) => `.dot.s${i}{fill:var(--series-${i})}.bar.s${i},.line.s${i}{stroke:var(--series-${i})}.key.s${i}{background:var(--series-${i})}`).join('')}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;list-style:none;font-size:.9rem}.key{display:inline-block;width:.8em;height:.8em;margin-right:.35em;border-radius:50%}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}th,td{padding:.25rem .6rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}
th:first-child,td:first-child{position:sticky;left:0;background:var(--page);text-align:left}th{color:var(--soft);font-weight:600}
.claim{margin:1rem 0;padding:.6rem .9rem;border:1px solid var(--rule);border-left-width:.4rem;border-radius:.4rem}.claim h3{margin-top:0}
.claim.confirmed{border-left-color:var(--good)}.claim.not-confirmed{border-left-color:var(--bad)}.claim.open{border-left-color:var(--open)}
.verdict{font-weight:700}.confirmed>.verdict{color:var(--good)}.not-confirmed>.verdict{color:var(--bad)}.open>.verdict{color:var(--open)}
code{font-size:.9em}`;
