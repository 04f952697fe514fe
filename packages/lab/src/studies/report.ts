// A study as one HTML page that needs nothing else: no network, no scripts. Verdicts first, then quality
// against cost, then the axes, then every number.
import { DEFAULT_CONTEXTS } from './cells.ts';
import { type ClaimVerdict, judgeClaims, RULE, type Verdict } from './claims.ts';
import { bytesToDecode } from './costs.ts';
import { dotPlot, escapeXml, linePlot, scatterPlot, short } from './plots.ts';
import { REPORT_STYLE } from './report-style.ts';
import type { CellResult } from './results.ts';
import type { Study } from './study.ts';
import { type SummaryRow, spread, summarise, summariseModels } from './summary.ts';

export function studyReport(study: Study, results: ReadonlyMap<string, CellResult>): string {
  const rows = summarise(study, results);
  const seriesOf = new Map(study.models.map((m, i) => [m.name, i]));
  const page: Page = { study, rows, series: (model) => seriesOf.get(model) ?? 0 };
  const tasks = [...new Set(rows.map((r) => r.task))];
  const body = [
    `<h1>${escapeXml(study.title)}</h1>`,
    study.about ? `<p>${escapeXml(study.about)}</p>` : '',
    `<p class="soft">${results.size} cells finished; ${study.models.length} models, ${study.tasks.length} tasks, ${study.seeds.length} seeds.${study.isShort ? ' Short version: a check that everything runs, too little training to say anything.' : ''}</p>`,
    claimsSection(judgeClaims(study, results)),
    `<h2>Models</h2>${legend(page)}<div class="plots">${costFigures(page)}</div>`,
    ...tasks.map((task) => taskSection(page, task)),
    axesSection(page),
    `<h2>All numbers</h2>${table(rows)}`,
    `<p class="soft">Means over seeds ± sample standard deviation; bars are 95 % Student t intervals. Weights and attention cache count as f16, recurrent state as f32. Training operations: six times the multiply-adds of the forward pass.</p>`,
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeXml(study.title)}</title><style>${REPORT_STYLE}</style></head><body>${body.join('\n')}</body></html>\n`;
}

interface Page {
  readonly study: Study;
  readonly rows: readonly SummaryRow[];
  series(model: string): number;
}

const CLASS: Record<Verdict, string> = {
  confirmed: 'confirmed',
  'not confirmed': 'not-confirmed',
  'not decidable at this size': 'open',
};

function claimsSection(verdicts: readonly ClaimVerdict[]): string {
  if (!verdicts.length) return '';
  const claims = verdicts.map(({ claim, verdict, parts }) => {
    const items = parts.map(
      (p) =>
        `<li class="${CLASS[p.verdict]}"><span class="verdict">${p.verdict}</span>: ${escapeXml(p.text)}. <span class="soft">${values(p.values)}${escapeXml(p.reason)}</span></li>`,
    );
    return `<section class="claim ${CLASS[verdict]}"><h3>(${escapeXml(claim.id)}) ${escapeXml(claim.statement)}</h3><span class="verdict">${verdict}</span> <span class="soft">${escapeXml(claim.source)}</span><ul>${items.join('')}</ul></section>`;
  });
  const overview = verdicts.map(
    ({ claim, verdict }) =>
      `<li class="${CLASS[verdict]}">(${escapeXml(claim.id)}) ${escapeXml(claim.statement)} <span class="verdict">${verdict}</span></li>`,
  );
  return `<h2>Claims</h2><ul>${overview.join('')}</ul><h2>Claim by claim</h2><p class="soft">${escapeXml(RULE)}</p>${claims.join('')}`;
}

const values = ({ model, than }: { model: number | null; than: number | null }): string =>
  model === null || than === null ? '' : `${model.toFixed(3)} against ${than.toFixed(3)}; `;

const legend = ({ study, series }: Page): string =>
  `<ul class="legend">${study.models.map((m) => `<li><span class="key s${series(m.name) % 8}"></span>${series(m.name) + 1} ${escapeXml(m.name)} <code>${escapeXml(m.layers)}</code></li>`).join('')}</ul>`;

const figure = (plot: string, caption: string): string =>
  `<figure>${plot}<figcaption>${escapeXml(caption)}</figcaption></figure>`;

const COST_CONTEXTS = [256, 1024, 4096, 16_384, 65_536, 262_144];
const bytes = { label: 'bytes', log: true, format: (v: number) => `${short(v)}B` };

/** What a session of each model occupies, and what each token adds, as the context grows. */
function costFigures({ study, series }: Page): string {
  const models = summariseModels(study, COST_CONTEXTS);
  const over = (label: string, of: (model: (typeof models)[number], c: number) => number) =>
    linePlot(
      models.map((m) => ({
        series: series(m.name),
        label: m.name,
        points: COST_CONTEXTS.map((x, c) => ({ x, y: of(m, c) })),
      })),
      { label: 'context (tokens)', log: true },
      { ...bytes, label },
    );
  return (
    figure(
      over('state and cache of a session', (m, c) => m.cost.stateBytes + m.cost.contexts[c]!.cacheBytes),
      'Memory of one session: recurrent state and attention cache',
    ) +
    figure(
      over('read to decode a token', (m, c) => bytesToDecode(m.cost, m.cost.contexts[c]!)),
      'Bytes read to decode one token',
    )
  );
}

function taskSection(page: Page, task: string): string {
  const rows = page.rows.filter((r) => r.task === task);
  const first = rows[0]!;
  const label = first.smallerIsBetter ? `${first.metric} (lower is better)` : first.metric;
  const quality = { label, ...(first.metric === 'accuracy' ? { range: [0, 1.02] as const } : {}) };
  const chance = first.chance === null ? {} : { line: { y: first.chance, label: 'chance' } };
  const context = first.cost.contexts.at(-1)?.context ?? DEFAULT_CONTEXTS[0]!;
  const points = (x: (r: SummaryRow) => number) =>
    rows
      .filter((r) => Number.isFinite(r.quality.mean))
      .map((r) => ({
        series: page.series(r.model),
        label: `${r.model}: ${spread(r.quality)}`,
        x: x(r),
        y: r.quality.mean,
        low: r.quality.mean - r.quality.deviation,
        high: r.quality.mean + r.quality.deviation,
      }));
  const dots = rows.map((r) => ({
    series: page.series(r.model),
    label: r.model,
    value: r.quality.mean,
    low: r.quality.low,
    high: r.quality.high,
    values: r.values,
  }));
  // Sizes beside the trained one, and whatever else the claims look at.
  const claimed = new Set(
    (page.study.claims ?? []).flatMap((c) => c.parts.filter((p) => p.task === task).map((p) => p.metric)),
  );
  const further = Object.keys(first.metrics).filter(
    (m) => m !== first.metric && (claimed.has(m) || m === 'format' || m.startsWith('accuracy at ')),
  );
  return `<h2>${escapeXml(task)}</h2><div class="plots">${[
    figure(
      dotPlot(dots, quality, first.chance === null ? {} : { line: first.chance }),
      `${label} by model; small dots are seeds`,
    ),
    figure(
      scatterPlot(
        points((r) => {
          const last = r.cost.contexts.at(-1);
          return last ? bytesToDecode(r.cost, last) : 0;
        }),
        { ...bytes, label: `bytes to decode a token at ${short(context)} tokens` },
        quality,
        chance,
      ),
      'Quality against the cost of decoding',
    ),
    figure(
      scatterPlot(
        points((r) => r.trainingFlops),
        { label: 'training operations', log: true },
        quality,
        chance,
      ),
      'Quality against the cost of training',
    ),
    figure(
      linePlot(
        rows.map((r) => ({
          series: page.series(r.model),
          label: r.model,
          points: r.curve.flatMap((y, i) =>
            Number.isFinite(y) ? [{ x: (100 * (i + 0.5)) / r.curve.length, y }] : [],
          ),
        })),
        { label: '% of training' },
        { label: 'training loss (nats)' },
      ),
      'How training went: loss of each tenth, mean of the seeds',
    ),
    ...further.map((metric) => figure(furtherPlot(page, rows, metric), furtherCaption(metric))),
  ].join('')}</div>`;
}

function furtherPlot(page: Page, rows: readonly SummaryRow[], metric: string): string {
  const dots = rows.flatMap((r) => {
    const mean = r.metrics[metric];
    const { model: label } = r;
    return mean
      ? [{ series: page.series(label), label, value: mean.mean, low: mean.low, high: mean.high, values: [] }]
      : [];
  });
  const isShare = metric === 'format' || metric.startsWith('accuracy');
  return dotPlot(dots, { label: FURTHER_LABELS[metric] ?? metric, ...(isShare ? { range: [0, 1.02] } : {}) });
}

const FURTHER_LABELS: Readonly<Record<string, string>> = {
  format: 'share of answers',
  worstLogGradientNorm: 'ln of the largest gradient norm',
};

const furtherCaption = (metric: string): string =>
  metric === 'format'
    ? 'Share of answers in the format asked for'
    : metric === 'worstLogGradientNorm'
      ? 'The largest gradient of the run (lower is better)'
      : metric;

function axesSection(page: Page): string {
  const names = [...new Set(page.rows.flatMap((r) => Object.keys(r.axes)))];
  const figures = names.flatMap((axis) =>
    [...new Set(page.rows.map((r) => r.task))].flatMap((task) => {
      const rows = page.rows.filter((r) => r.task === task && r.axes[axis] !== undefined);
      if (rows.length < 2) return [];
      const dots = rows.map((r) => ({
        series: page.series(r.model),
        label: r.axes[axis]!,
        value: r.quality.mean,
        low: r.quality.low,
        high: r.quality.high,
        values: [],
      }));
      return [figure(dotPlot(dots, { label: `${rows[0]!.metric} on ${task}` }), `${axis}: ${task}`)];
    }),
  );
  return figures.length ? `<h2>Choice by choice</h2><div class="plots">${figures.join('')}</div>` : '';
}

function table(rows: readonly SummaryRow[]): string {
  const contexts = rows[0]?.cost.contexts ?? [];
  const head = [
    'model',
    'task',
    'layers',
    'quality',
    'chance',
    'seeds',
    'parameters',
    'training FLOP',
    'seconds',
    'state',
    ...contexts.flatMap((c) => [
      `decode bytes @${short(c.context)}`,
      `decode FLOP @${short(c.context)}`,
      `cache @${short(c.context)}`,
    ]),
  ];
  const lines = rows.map((r) => [
    r.model,
    r.task,
    r.layers,
    `${r.metric} ${spread(r.quality)}`,
    r.chance === null ? '–' : r.chance.toFixed(3),
    `${r.quality.count}`,
    short(r.parameters),
    short(r.trainingFlops),
    (r.trainingMs / 1000).toFixed(1),
    `${short(r.cost.stateBytes)}B`,
    ...r.cost.contexts.flatMap((c) => [
      `${short(bytesToDecode(r.cost, c))}B`,
      short(2 * c.decodeMacs),
      `${short(c.cacheBytes)}B`,
    ]),
  ]);
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((c) => `<${tag}>${escapeXml(c)}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table><thead>${row(head, 'th')}</thead><tbody>${lines.map((l) => row(l, 'td')).join('')}</tbody></table></div>`;
}
