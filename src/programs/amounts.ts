/**
 * Amounts as people write them.
 */
const second = 1_000
const day = 24 * 60 * 60 * second

/** In milliseconds. */
const times: Readonly<Record<string, number>> = {
  s: second,
  m: 60 * second,
  min: 60 * second,
  h: 60 * 60 * second,
  d: day,
  w: 7 * day
}

/** In bytes. */
const sizes: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40
}

const amountOf = (text: string, units: Readonly<Record<string, number>>): number | undefined => {
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-z]+)$/i.exec(text.trim()) ?? []
  const factor = unit === undefined || !Object.hasOwn(units, unit.toLowerCase()) ? undefined : units[unit.toLowerCase()]
  return factor === undefined ? undefined : Number(digits) * factor
}

/** A time such as `30d`, `12h`, `90min` or `2w`, in milliseconds; `undefined` where a text is none. A number needs its unit. */
export const millisOf = (text: string): number | undefined => amountOf(text, times)

/** A size such as `500MB` or `1.5GiB`, or a number of bytes; `undefined` where a text is none. */
export const bytesOf = (text: string): number | undefined =>
  amountOf(/^\d+$/.test(text.trim()) ? `${text.trim()}B` : text, sizes)

/** A number of bytes for people. */
export const sizeOf = (bytes: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  let unit = 0
  let left = bytes
  // What would be rounded up to a thousand is one of the next.
  while (left >= (unit === 0 ? 1_000 : 999.95) && unit < units.length - 1) {
    left /= 1_000
    unit++
  }
  return `${unit === 0 ? left : left.toFixed(1)} ${units[unit]}`
}
