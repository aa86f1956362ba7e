// The numbers of a link: decimals of three digits at most, as whole thousandths, so that sums of
// products are exact: of the largest kernel here, 36 products below 10¹⁴ each are below 2⁵³.

export const SCALE = 1000;
const DECIMAL = /^([+-]?)(\d{0,4})(?:\.(\d{0,3}))?$/;

// Thousandths of a text, null for anything else.
export function thousandths(text) {
  const match = DECIMAL.exec(text);
  if (!match || !(match[2] || match[3])) return null;
  const number = Number(match[2] || 0) * SCALE + Number((match[3] ?? "").padEnd(3, "0"));
  return match[1] === "-" ? -number : number;
}

export function written(number) {
  return String(number / SCALE);
}

// The values of a link, all of them or `at:value` for those that differ from its own; null if they
// do not fit.
export function valuesOf(text, own) {
  if (!text) return own;
  const parts = text.split(",");
  const values = text.includes(":") ? [...own] : parts.map(thousandths);
  if (text.includes(":")) {
    for (const part of parts) {
      const [at, value] = part.split(":");
      if (!/^\d{1,6}$/.test(at) || Number(at) >= own.length) return null;
      values[Number(at)] = thousandths(value ?? "");
    }
  }
  return values.length === own.length && !values.includes(null) ? values : null;
}

// Values as a link writes them, null where they are its own.
export function linkOf(values, own) {
  const changed = [...values.keys()].filter((at) => values[at] !== own[at]);
  if (!changed.length) return null;
  const all = values.map(written).join(",");
  const some = changed.map((at) => `${at}:${written(values[at])}`).join(",");
  return all.length <= some.length ? all : some;
}
