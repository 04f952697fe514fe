// The formats of JSON Schema as regular languages, by the grammars of their standards. Dates are ones that exist, leap
// seconds only where there are some.
import { regexLanguage } from '../regular/regex.ts';
import { both, type Regular, repeat } from '../regular/regular.ts';
import { decimal } from './decimal.ts';
import { atLeast, atMost, intersectNumbers, type NumberSet } from './number-set.ts';
import { ANY_SPELLED, spelled } from './spellings.ts';

const whole = (source: string): Regular => regexLanguage(source, { match: 'whole', encode: spelled });

// RFC 3339, section 5.6: full-date, with the days of each month and the leap years of the Gregorian calendar.
const LEAP = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)';
const DATE =
  '(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|' +
  `02-(?:0[1-9]|1[0-9]|2[0-8]))|${LEAP}-02-29)`;

const two = (value: number): string => String(value).padStart(2, '0');

/**
 * Leap seconds end a day in UTC: 23:59:60Z, and the same in zones that are whole or half hours away. Written as a
 * tree of hours and minutes, since as many alternatives would be read side by side.
 */
function leapSeconds(): string {
  const hours = Array.from({ length: 24 }, (_, hour) => {
    const minutes = [29, 59].map((minute) => {
      const zones = [1, -1].map((sign) => {
        const offset = ((((hour * 60 + minute - 1439) * sign) % 1440) + 1440) % 1440;
        return `[${sign > 0 ? '+' : '-'}]${two(Math.floor(offset / 60))}:${two(offset % 60)}`;
      });
      const utc = hour === 23 && minute === 59 ? '|[Zz]' : '';
      return `${minute}:60(?:\\.[0-9]+)?(?:${zones.join('|')}${utc})`;
    });
    return `${two(hour)}:(?:${minutes.join('|')})`;
  });
  return hours.join('|');
}

const HOUR = '(?:[01][0-9]|2[0-3])';
const TIME = `(?:${HOUR}:[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?(?:[Zz]|[+-]${HOUR}:[0-5][0-9])|${leapSeconds()})`;

// RFC 3339, appendix A: parts in order, none left out between two.
const DURATION =
  'P(?:[0-9]+W|(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)(?:T(?:TIME))?|T(?:TIME))'.replaceAll(
    'TIME',
    '[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S',
  );

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = `${OCTET}(?:\\.${OCTET}){3}`;

/** RFC 3986, section 3.2.2: eight groups, of which :: may stand for one or more, and the last two may be IPv4. */
function ipv6(): string {
  const group = '[0-9a-fA-F]{1,4}';
  const last = `(?:${group}:${group}|${IPV4})`;
  const options = [`(?:${group}:){6}${last}`, `::(?:${group}:){5}${last}`];
  for (let before = 1; before <= 5; before++)
    options.push(`(?:${group}(?::${group}){0,${before - 1}})?::(?:${group}:){${5 - before}}${last}`);
  options.push(`(?:${group}(?::${group}){0,5})?::${group}`, `(?:${group}(?::${group}){0,6})?::`);
  return `(?:${options.join('|')})`;
}

const IPV6 = ipv6();

// RFC 1123, section 2.1: labels of at most 63 characters; together at most 253.
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const HOSTNAME = `${LABEL}(?:\\.${LABEL})*`;

// RFC 5321, section 4.1.2: a dot-string or a quoted one, at a domain or an address in brackets.
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const EMAIL =
  `(?:${ATOM}(?:\\.${ATOM})*|"(?:[ !#-\\[\\]-~]|\\\\[ -~])*")@` +
  `(?:${HOSTNAME}|\\[(?:${IPV4}|IPv6:${IPV6})\\])`;

// RFC 3986, appendix A; RFC 3987 adds characters beyond ASCII.
const UNICODE =
  '\\u{a0}-\\u{d7ff}\\u{f900}-\\u{fdcf}\\u{fdf0}-\\u{ffef}\\u{10000}-\\u{1fffd}\\u{20000}-\\u{2fffd}';
const PRIVATE = '\\u{e000}-\\u{f8ff}\\u{f0000}-\\u{ffffd}';

function uriParts(unicode: string, extra: string): { absolute: string; relative: string } {
  const plain = `A-Za-z0-9._~!$&'()*+,;=${unicode}\\-`;
  const escaped = '%[0-9A-Fa-f]{2}';
  const char = `(?:[${plain}:@]|${escaped})`;
  const noColon = `(?:[${plain}@]|${escaped})`;
  const host = `(?:\\[(?:${IPV6}|v[0-9A-Fa-f]+\\.[${plain}:]+)\\]|(?:[${plain}]|${escaped})*)`;
  const authority = `(?:(?:[${plain}:]|${escaped})*@)?${host}(?::[0-9]*)?`;
  const rest = `(?:/${char}*)*`;
  const rooted = `/(?:${char}+${rest})?`;
  const tail = `(?:\\?(?:${char}|[/?${extra}])*)?(?:#(?:${char}|[/?])*)?`;
  return {
    absolute: `[A-Za-z][A-Za-z0-9+.\\-]*:(?://${authority}${rest}|${rooted}|${char}+${rest}|)${tail}`,
    relative: `(?://${authority}${rest}|${rooted}|${noColon}+${rest}|)${tail}`,
  };
}

const URI = uriParts('', '');
const IRI = uriParts(UNICODE, PRIVATE);

const POINTER = '(?:/(?:[^/~]|~[01])*)*';

// RFC 6570, sections 2 and 3.
const VARIABLE =
  '(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*(?::[1-9][0-9]{0,3}|\\*)?';
const TEMPLATE =
  `(?:[!#$&(-;=?-\\[\\]_a-z~${UNICODE}${PRIVATE}]|%[0-9A-Fa-f]{2}|` +
  `\\{[+#./;?&=,!@|]?${VARIABLE}(?:,${VARIABLE})*\\})*`;

/** Names of formats → their texts, spelled. */
export const FORMATS: Readonly<Record<string, () => Regular>> = {
  date: () => whole(DATE),
  time: () => whole(TIME),
  'date-time': () => whole(`${DATE}[Tt]${TIME}`),
  duration: () => whole(DURATION),
  uuid: () => whole('[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'),
  email: () => whole(EMAIL),
  hostname: () => both(whole(HOSTNAME), repeat(ANY_SPELLED, 1, 253)),
  ipv4: () => whole(IPV4),
  ipv6: () => whole(IPV6),
  uri: () => whole(URI.absolute),
  'uri-reference': () => whole(`(?:${URI.absolute}|${URI.relative})`),
  iri: () => whole(IRI.absolute),
  'iri-reference': () => whole(`(?:${IRI.absolute}|${IRI.relative})`),
  'uri-template': () => whole(TEMPLATE),
  'json-pointer': () => whole(POINTER),
  'relative-json-pointer': () => whole(`(?:0|[1-9][0-9]*)(?:#|${POINTER})`),
  byte: () => whole('(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?'),
};

const between = (low: string, high: string): NumberSet =>
  intersectNumbers(atLeast(decimal(BigInt(low), 0)), atMost(decimal(BigInt(high), 0)));

/** Formats of numbers, as OpenAPI has them. */
export const NUMBER_FORMATS: Readonly<Record<string, NumberSet>> = {
  int32: between('-2147483648', '2147483647'),
  int64: between('-9223372036854775808', '9223372036854775807'),
};

/** Formats that describe a value without saying how it is written. */
export const IGNORED_FORMATS: ReadonlySet<string> = new Set(['double', 'float', 'binary', 'password']);
