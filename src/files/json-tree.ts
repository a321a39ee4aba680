/**
 * JSON (RFC 8259) as a tree that remembers where in the text each value stands, so that what nobody touched keeps its
 * bytes: numbers beyond 2^53, escapes, inline arrays. Strict: no comments, no trailing commas, no key twice, depth
 * bounded. With `comments` it only checks texts of the JSON-with-comments kind (tsconfig, editor settings).
 */

export interface JsonScalar {
  readonly kind: 'scalar'
  readonly start: number
  readonly end: number
}

export interface JsonArray {
  readonly kind: 'array'
  readonly start: number
  readonly end: number
  readonly items: readonly JsonNode[]
}

export interface JsonObject {
  readonly kind: 'object'
  readonly start: number
  readonly end: number
  /** By the key as it is written, quotes included. */
  readonly members: ReadonlyMap<string, JsonNode>
}

export type JsonNode = JsonScalar | JsonArray | JsonObject

export interface JsonText {
  readonly text: string
  readonly root: JsonNode
}

const depthMax = 32
const plainPattern = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const escapePattern = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
// No alternation under a star here: on a string of a megabyte it would run out of stack
// oxlint-disable-next-line no-control-regex -- because: RFC 8259 forbids exactly these
const stringRunPattern = /[^"\\\u0000-\u001f]*/y
const spacePattern = /[ \t\r\n]*/y

/** @returns undefined for what is not JSON, has a key twice or is too deep. */
export function parseJson(text: string, comments = false): JsonText | undefined {
  const parser = new JsonParser(text, comments)
  const root = parser.whole()
  return root === undefined ? undefined : { text, root }
}

/** The value without the white space between its parts: equal texts are equal values, member order apart. */
export function canonicalJson(text: string, node: JsonNode): string {
  switch (node.kind) {
    case 'scalar':
      return text.slice(node.start, node.end)
    case 'array':
      return `[${node.items.map((item) => canonicalJson(text, item)).join()}]`
    case 'object':
      return `{${[...node.members]
        .map(([key, value]) => `${key}:${canonicalJson(text, value)}`)
        .sort()
        .join()}}`
  }
}

class JsonParser {
  private readonly text: string
  private readonly comments: boolean
  private at = 0

  constructor(text: string, comments: boolean) {
    this.text = text
    this.comments = comments
  }

  whole(): JsonNode | undefined {
    const root = this.value(0)
    this.space()
    return this.at === this.text.length ? root : undefined
  }

  private value(depth: number): JsonNode | undefined {
    if (depth > depthMax) return undefined
    this.space()
    const start = this.at
    const first = this.text[start]
    if (first === '{') return this.object(start, depth)
    if (first === '[') return this.array(start, depth)
    return this.scalar() === undefined ? undefined : { kind: 'scalar', start, end: this.at }
  }

  private object(start: number, depth: number): JsonObject | undefined {
    const members = new Map<string, JsonNode>()
    const isWhole = this.list('}', () => {
      this.space()
      const key = this.text[this.at] === '"' ? this.scalar() : undefined
      if (key === undefined || members.has(key)) return false
      this.space()
      if (this.text[this.at++] !== ':') return false
      const value = this.value(depth + 1)
      if (value === undefined) return false
      members.set(key, value)
      return true
    })
    return isWhole ? { kind: 'object', start, end: this.at, members } : undefined
  }

  private array(start: number, depth: number): JsonArray | undefined {
    const items: JsonNode[] = []
    const isWhole = this.list(']', () => {
      const item = this.value(depth + 1)
      if (item !== undefined) items.push(item)
      return item !== undefined
    })
    return isWhole ? { kind: 'array', start, end: this.at, items } : undefined
  }

  /** From the opening bracket to after the closing one. */
  private list(close: string, one: () => boolean): boolean {
    this.at++
    this.space()
    if (this.text[this.at] === close) {
      this.at++
      return true
    }
    for (;;) {
      if (!one()) return false
      this.space()
      const next = this.text[this.at++]
      if (next === close) return true
      if (next !== ',') return false
      if (!this.comments) continue
      this.space()
      if (this.text[this.at] !== close) continue
      this.at++
      return true
    }
  }

  private scalar(): string | undefined {
    const start = this.at
    if (this.text[start] !== '"')
      return this.take(plainPattern) === '' ? undefined : this.text.slice(start, this.at)
    this.at++
    for (;;) {
      this.take(stringRunPattern)
      if (this.text[this.at] === '"') {
        this.at++
        return this.text.slice(start, this.at)
      }
      if (this.take(escapePattern) === '') return undefined
    }
  }

  private space(): void {
    this.take(spacePattern)
    while (this.comments && (this.text[this.at] === '/' || this.text[this.at] === '\ufeff')) {
      const start = this.text.slice(this.at, this.at + 2)
      const close = start === '//' ? '\n' : start === '/*' ? '*/' : ''
      if (close === '' && start[0] === '/') return
      const end = close === '' ? this.at : this.text.indexOf(close, this.at + 2)
      this.at = end === -1 ? this.text.length : end + Math.max(1, close.length)
      this.take(spacePattern)
    }
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0] ?? ''
    this.at += found.length
    return found
  }
}
