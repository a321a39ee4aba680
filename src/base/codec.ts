/**
 * Bounded decoding. Bytes from outside become typed values here, once: CBOR is decoded, then a validator checks
 * shape, lengths and ranges. Two encodings: `encode` (cbor-x, fast) for messages, `encodeCanonical` (cborg,
 * deterministic) for what is signed or hashed.
 */
import { Decoder, Encoder } from 'cbor-x'
import { decode as decodeStrict, encode as encodeStrict } from 'cborg'
import { SkeinError } from './errors.ts'

/** Turns an unknown value into a T. @throws `codec.invalid` naming the place that is wrong. */
export type Validator<T> = (value: unknown, path: string) => T

// Plain maps and no extensions: records and structured clones would let a peer steer how later bytes are read
const options = {
  useRecords: false,
  mapsAsObjects: true,
  structuredClone: false,
  tagUint8Array: false,
} as const
const encoder = new Encoder(options)
const decoder = new Decoder(options)

const invalid = (path: string, expected: string): SkeinError =>
  new SkeinError('codec.invalid', `${path}: expected ${expected}`)

/** Fresh bytes of a message envelope. */
export function encode(value: unknown): Uint8Array {
  return plain(encoder.encode(value))
}

/** @param maxBytes refused unread above this. @throws `codec.invalid`, `limit.exceeded`. */
export function decode<T>(bytes: Uint8Array, validator: Validator<T>, maxBytes: number): T {
  if (bytes.byteLength > maxBytes) {
    throw new SkeinError(
      'limit.exceeded',
      `message of ${bytes.byteLength} bytes, at most ${maxBytes} allowed`,
    )
  }
  let value: unknown
  try {
    value = decoder.decode(bytes)
  } catch (error) {
    throw new SkeinError('codec.invalid', 'not valid CBOR', { cause: error })
  }
  return validator(value, 'message')
}

/** The one byte form of a value (RFC 8949 section 4.2): sorted keys, shortest integers. For signatures and hashes. */
export function encodeCanonical(value: unknown): Uint8Array {
  return plain(encodeStrict(value))
}

/** Both encoders may return a Buffer, whose `slice` shares memory where that of a Uint8Array copies. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Decodes canonical CBOR. @throws `codec.invalid` for any other form, `limit.exceeded`. */
export function decodeCanonical<T>(bytes: Uint8Array, validator: Validator<T>, maxBytes: number): T {
  if (bytes.byteLength > maxBytes) {
    throw new SkeinError('limit.exceeded', `${bytes.byteLength} bytes, at most ${maxBytes} allowed`)
  }
  let value: unknown
  try {
    value = decodeStrict(bytes, {
      strict: true,
      allowIndefinite: false,
      rejectDuplicateMapKeys: true,
      allowUndefined: false,
    })
  } catch (error) {
    throw new SkeinError('codec.invalid', 'not valid canonical CBOR', { cause: error })
  }
  return validator(value, 'message')
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

/** Text of at most `maxBytes` bytes of UTF-8. */
export function text(maxBytes: number, pattern?: RegExp): Validator<string> {
  return (value, path) => {
    if (typeof value !== 'string' || value.length > maxBytes || !value.isWellFormed()) {
      throw invalid(path, `text of at most ${maxBytes} bytes`)
    }
    if (value.length * 3 > maxBytes && new TextEncoder().encode(value).byteLength > maxBytes) {
      throw invalid(path, `text of at most ${maxBytes} bytes`)
    }
    if (pattern !== undefined && !pattern.test(value)) throw invalid(path, `text like ${pattern.source}`)
    return value
  }
}

/** Text that a predicate accepts, such as an id. */
export function textOf<T extends string>(accepts: (value: string) => value is T, what: string): Validator<T> {
  return (value, path) => {
    if (typeof value !== 'string' || !accepts(value)) throw invalid(path, what)
    return value
  }
}

/** Bytes, `min`..`max` long, copied out: a message is only valid while it is being received. */
export function bytes(max: number, min = 0): Validator<Uint8Array<ArrayBuffer>> {
  return (value, path) => {
    if (!(value instanceof Uint8Array) || value.byteLength > max || value.byteLength < min) {
      throw invalid(path, `${min === max ? max : `${min}..${max}`} bytes`)
    }
    return new Uint8Array(value)
  }
}

/** Integer in min..max. */
export function integer(max: number = Number.MAX_SAFE_INTEGER, min = 0): Validator<number> {
  return (value, path) => {
    const number = typeof value === 'bigint' && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number > max || number < min) {
      throw invalid(path, `integer in ${min}..${max}`)
    }
    return number
  }
}

export const boolean: Validator<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw invalid(path, 'true or false')
  return value
}

/** One of the given constants. */
export function oneOf<const T extends string | number>(...allowed: readonly T[]): Validator<T> {
  return (value, path) => {
    const found = allowed.find((candidate) => candidate === value)
    if (found === undefined) throw invalid(path, `one of ${allowed.join(', ')}`)
    return found
  }
}

/** At most `maxCount` items. */
export function array<T>(item: Validator<T>, maxCount: number): Validator<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > maxCount) throw invalid(path, `a list of at most ${maxCount}`)
    return value.map((entry: unknown, index) => item(entry, `${path}[${index}]`))
  }
}

/** The value or undefined (absent or null). */
export function optional<T>(inner: Validator<T>): Validator<T | undefined> {
  return (value, path) => (value === undefined || value === null ? undefined : inner(value, path))
}

type Shape = Readonly<Record<string, Validator<unknown>>>
type ValueOf<S extends Shape> = { readonly [K in keyof S]: S[K] extends Validator<infer T> ? T : never }

/** An object with these fields. Unknown fields are ignored and dropped: newer versions may add some. */
export function object<S extends Shape>(shape: S): Validator<ValueOf<S>> {
  const fields = Object.entries(shape)
  return (value, path) => {
    if (!isObject(value)) throw invalid(path, 'a map')
    const out: Record<string, unknown> = {}
    for (const [name, validate] of fields) {
      out[name] = validate(Object.hasOwn(value, name) ? value[name] : undefined, `${path}.${name}`)
    }
    // because: every field of S was just validated under its own name
    return out as ValueOf<S>
  }
}

/** Tagged union by a text field: `variants('kind', { a: object({...}), b: ... })`. */
export function variants<T>(tag: string, cases: Readonly<Record<string, Validator<T>>>): Validator<T> {
  return (value, path) => {
    const kind = isObject(value) && Object.hasOwn(value, tag) ? value[tag] : undefined
    const validate = typeof kind === 'string' && Object.hasOwn(cases, kind) ? cases[kind] : undefined
    if (validate === undefined) throw invalid(`${path}.${tag}`, `one of ${Object.keys(cases).join(', ')}`)
    return validate(value, path)
  }
}

/** Any value at all, unchecked: only for results that the next layer validates itself. */
export const anything: Validator<unknown> = (value) => value
