// Numbers as Python writes, rounds and reads them. JavaScript's toFixed and toExponential round halves up;
// Python rounds the exact binary value to the nearest, halves to even, so both are computed from the bits here.

/** repr(float) */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return withTwoDigitExponent(value.toExponential());
  return Number.isInteger(value) ? `${value}.0` : `${value}`;
}

function withTwoDigitExponent(text: string): string {
  const at = text.indexOf('e') + 2;
  return text.length - at < 2 ? `${text.slice(0, at)}0${text.slice(at)}` : text;
}

/** A finite number ≥ 0 as `numerator / 2 ** shift`. */
function exact(value: number): { numerator: bigint; shift: bigint } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const mantissa = exponent === 0 ? fraction : fraction | (1n << 52n);
  const power = (exponent === 0 ? 1 : exponent) - 1075;
  return power >= 0
    ? { numerator: mantissa << BigInt(power), shift: 0n }
    : { numerator: mantissa, shift: BigInt(-power) };
}

/** numerator / denominator, to the nearest integer, halves to even. */
function nearest(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = 2n * (numerator - quotient * denominator);
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient;
}

/** '%.{digits}f' of |value|, without a sign. */
export function fixed(value: number, digits: number): string {
  const { numerator, shift } = exact(Math.abs(value));
  const scaled = nearest(numerator * 10n ** BigInt(digits), 1n << shift).toString();
  if (digits === 0) return scaled;
  const padded = scaled.padStart(digits + 1, '0');
  return `${padded.slice(0, -digits)}.${padded.slice(-digits)}`;
}

/** |value| = 0.d₁d₂… × 10 ** (exponent + 1), rounded to `count` digits. */
function significant(value: number, count: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: '0'.repeat(count), exponent: 0 };
  const { numerator, shift } = exact(Math.abs(value));
  let exponent = Number(Math.abs(value).toExponential().split('e')[1]);
  for (;;) {
    const scale = count - 1 - exponent;
    const [up, down] = scale >= 0 ? [10n ** BigInt(scale), 1n] : [1n, 10n ** BigInt(-scale)];
    const digits = nearest(numerator * up, (1n << shift) * down).toString();
    if (digits.length <= count) return { digits, exponent };
    exponent++;
  }
}

function exponentText(exponent: number): string {
  return `e${exponent < 0 ? '-' : '+'}${`${Math.abs(exponent)}`.padStart(2, '0')}`;
}

/** '%.{digits}e' of |value|. */
export function scientific(value: number, digits: number): string {
  const { digits: all, exponent } = significant(value, digits + 1);
  return `${all[0]}${digits > 0 ? `.${all.slice(1)}` : ''}${exponentText(exponent)}`;
}

/** '%.{precision}g' of |value|. `alternate` keeps zeros at the end. */
export function general(value: number, precision: number, alternate: boolean): string {
  const count = Math.max(precision, 1);
  const { digits, exponent } = significant(value, count);
  const trim = (text: string) => (alternate || !text.includes('.') ? text : withoutZeros(text));
  if (exponent < -4 || exponent >= count)
    return trim(count > 1 ? `${digits[0]}.${digits.slice(1)}` : digits[0]!) + exponentText(exponent);
  if (exponent < 0) return trim(`0.${'0'.repeat(-exponent - 1)}${digits}`);
  const whole = digits.slice(0, exponent + 1);
  return trim(count > exponent + 1 ? `${whole}.${digits.slice(exponent + 1)}` : whole);
}

function withoutZeros(text: string): string {
  let end = text.length;
  while (text[end - 1] === '0') end--;
  return text.slice(0, text[end - 1] === '.' ? end - 1 : end);
}

/** round(float, digits) */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 323) return value;
  if (digits < -308) return value < 0 ? -0 : 0;
  if (digits >= 0) return Math.sign(value) * Number(fixed(value, digits)) || (value < 0 ? -0 : 0);
  const { numerator, shift } = exact(Math.abs(value));
  const unit = 10n ** BigInt(-digits);
  return Number(nearest(numerator, unit << shift) * unit) * (value < 0 ? -1 : 1);
}

/** round(float) and round(int, digits) for digits < 0. */
export function roundToInteger(value: number): bigint {
  const { numerator, shift } = exact(Math.abs(value));
  const rounded = nearest(numerator, 1n << shift);
  return value < 0 ? -rounded : rounded;
}

export function roundInteger(value: bigint, digits: number): bigint {
  if (digits >= 0) return value;
  const unit = 10n ** BigInt(-digits);
  const rounded = nearest(value < 0n ? -value : value, unit) * unit;
  return value < 0n ? -rounded : rounded;
}

/** Whether digits, with single underscores between them, stand in `text`. */
function areDigits(text: string, base: number): boolean {
  if (text === '' || text.startsWith('_') || text.endsWith('_') || text.includes('__')) return false;
  for (const letter of text) {
    if (letter === '_') continue;
    const digit = '0123456789abcdefghijklmnopqrstuvwxyz'.indexOf(letter.toLowerCase());
    if (digit < 0 || digit >= base) return false;
  }
  return true;
}

const PREFIXES: Readonly<Record<string, number>> = { '0b': 2, '0o': 8, '0x': 16 };

/** int(text, base); null for what Python refuses. `text` has no blanks around it. */
export function parseInteger(text: string, base: number): bigint | null {
  const negative = text.startsWith('-');
  let digits = negative || text.startsWith('+') ? text.slice(1) : text;
  const prefix = PREFIXES[digits.slice(0, 2).toLowerCase()];
  if (prefix !== undefined && (base === 0 || base === prefix)) {
    digits = digits.slice(2);
    if (digits.startsWith('_')) digits = digits.slice(1);
    base = prefix;
  } else if (base === 0) {
    base = 10;
    if (digits.startsWith('0') && !/^[0_]+$/.test(digits)) return null;
  }
  if (!areDigits(digits, base)) return null;
  const plain = digits.replaceAll('_', '').toLowerCase();
  let value = 0n;
  if (base === 10) value = BigInt(plain);
  else for (const letter of plain) value = value * BigInt(base) + BigInt(Number.parseInt(letter, 36));
  return negative ? -value : value;
}

/** float(text); null for what Python refuses. `text` has no blanks around it. */
export function parseFloatText(text: string): number | null {
  const lower = text.toLowerCase();
  const unsigned = lower.startsWith('-') || lower.startsWith('+') ? lower.slice(1) : lower;
  const sign = lower.startsWith('-') ? -1 : 1;
  if (unsigned === 'inf' || unsigned === 'infinity') return sign * Number.POSITIVE_INFINITY;
  if (unsigned === 'nan') return Number.NaN;
  const [mantissa, exponent, ...more] = unsigned.split('e');
  const [whole, fraction, ...dots] = mantissa!.split('.');
  if (more.length > 0 || dots.length > 0) return null;
  const power = exponent?.startsWith('-') || exponent?.startsWith('+') ? exponent.slice(1) : exponent;
  for (const part of [whole === '' ? undefined : whole, fraction === '' ? undefined : fraction, power])
    if (part !== undefined && !areDigits(part, 10)) return null;
  if (!whole && !fraction) return null;
  return Number(lower.replaceAll('_', ''));
}
