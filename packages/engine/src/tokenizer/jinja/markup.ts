// Texts in HTML: `escape` and what undoes it.

/** As MarkupSafe escapes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('>', '&gt;')
    .replaceAll('<', '&lt;')
    .replaceAll("'", '&#39;')
    .replaceAll('"', '&#34;');
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  bull: '•',
  middot: '·',
  deg: '°',
  euro: '€',
  pound: '£',
  yen: '¥',
  sect: '§',
  para: '¶',
  times: '×',
  divide: '÷',
};

/** References to characters by number, and the common ones by name. */
function unescapeHtml(text: string): string {
  return text.replace(
    /&(?:#(?:x([0-9a-f]{1,6})|([0-9]{1,7}))|([a-z]{2,8}));/gi,
    (all, hex, decimal, name) => {
      if (name !== undefined) return ENTITIES[name as string] ?? (all as string);
      const code = hex !== undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
      return code === 0 || code > 0x10ffff ? '\ufffd' : String.fromCodePoint(code);
    },
  );
}

/** MarkupSafe's striptags: without tags and comments, blanks collapsed by `collapse`, references resolved. */
export function stripTags(text: string, collapse: (text: string) => string): string {
  let out = '';
  let at = 0;
  for (let start = text.indexOf('<'); start >= 0; start = text.indexOf('<', at)) {
    const isComment = text.startsWith('<!--', start);
    const end = isComment ? text.indexOf('-->', start + 4) : text.indexOf('>', start);
    if (end < 0) break;
    out += text.slice(at, start);
    at = end + (isComment ? 3 : 1);
  }
  return unescapeHtml(collapse(out + text.slice(at)));
}
