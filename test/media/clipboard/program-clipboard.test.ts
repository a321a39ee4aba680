/** The clipboards of macOS and Windows with programs that play the system's: the same names, the same encodings. */
import { describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../../src/base/env.ts'
import { abortReason } from '../../../src/base/clock.ts'
import { SkeinError } from '../../../src/base/errors.ts'
import { buildHtmlFormat, parseHtmlFormat } from '../../../src/media/clipboard/html-format.ts'
import { createMacosClipboard } from '../../../src/media/clipboard/macos-clipboard.ts'
import type { CopiedFormat, DesktopClipboard } from '../../../src/media/clipboard/port.ts'
import type { Programs, RunOptions } from '../../../src/media/clipboard/programs.ts'
import { createWindowsClipboard } from '../../../src/media/clipboard/windows-clipboard.ts'
import {
  bytesOf,
  collectCopies,
  describeDesktopClipboard,
  textCopy,
  untilState,
  type TestDesk,
} from '../../contract/desktop-clipboard.ts'

type Board = Map<string, Uint8Array>

/** What differs between the two systems. */
interface System {
  readonly open: (programs: Programs) => DesktopClipboard
  readonly secret: string
  readonly names: Readonly<Record<string, string>>
  /** Which of the scripts this is. */
  readonly recognise: (options: RunOptions) => { readonly verb: Verb; readonly format: string }
  readonly list: (names: readonly string[]) => string
  readonly parse: (input: string) => Board
  readonly wrap?: (mime: string, content: Uint8Array) => Uint8Array
  readonly unwrap?: (mime: string, content: Uint8Array) => Uint8Array
}
type Verb = 'follow' | 'list' | 'read' | 'write' | 'withdraw'

const origin = 'application/x-skein-origin'

const macos: System = {
  open: (programs) => createMacosClipboard(createSystemEnv(), programs),
  secret: 'org.nspasteboard.ConcealedType',
  names: {
    'text/plain': 'public.utf8-plain-text',
    'text/html': 'public.html',
    'text/rtf': 'public.rtf',
    'image/png': 'public.png',
    'text/uri-list': 'public.file-url',
  },
  recognise({ args }) {
    const [, , , script = '', format = ''] = args
    const marks: readonly (readonly [string, Verb])[] = [
      ['NSThread', 'follow'],
      ['dataForType', 'read'],
      ['readDataToEndOfFile', 'write'],
      ['clearContents', 'withdraw'],
      ['board.types', 'list'],
    ]
    return { verb: verbOf(script, marks), format }
  },
  list: (names) => `${JSON.stringify(names)}\n`,
  parse(input) {
    const items = JSON.parse(input) as readonly Record<string, string>[] // because: written by the code under test
    const board: Board = new Map()
    for (const [name, content] of items.flatMap(Object.entries)) {
      const bytes = Buffer.from(content, 'base64')
      const isFile = name === 'public.file-url'
      const before = board.get(name) ?? new Uint8Array()
      board.set(name, new Uint8Array(isFile ? Buffer.concat([before, bytes, bytesOf('\r\n')]) : bytes))
    }
    return board
  },
}

const windows: System = {
  open: (programs) => createWindowsClipboard(createSystemEnv(), programs),
  secret: 'ExcludeClipboardContentFromMonitorProcessing',
  names: {
    'text/plain': 'UnicodeText',
    'text/html': 'HTML Format',
    'text/rtf': 'Rich Text Format',
    'image/png': 'PNG',
    'text/uri-list': 'FileDrop',
  },
  recognise({ args }) {
    const script = Buffer.from(args.at(-1) ?? '', 'base64').toString('utf16le')
    const marks: readonly (readonly [string, Verb])[] = [
      ['GetClipboardSequenceNumber', 'follow'],
      ['ConvertFrom-Json', 'write'],
      ['$name = ', 'read'],
      ['Clear()', 'withdraw'],
      ['GetFormats', 'list'],
    ]
    return { verb: verbOf(script, marks), format: /\$name = '([^']+)'/.exec(script)?.[1] ?? '' }
  },
  list: (names) => names.map((name) => `${name}\r\n`).join(''),
  parse(input) {
    // because: written by the code under test
    const given = JSON.parse(input) as readonly { readonly format: string; readonly content: string }[]
    return new Map(
      given.map(({ format, content }) => [format, new Uint8Array(Buffer.from(content, 'base64'))]),
    )
  },
  wrap: (mime, content) => (mime === 'text/html' ? buildHtmlFormat(content) : content),
  unwrap: (mime, content) => (mime === 'text/html' ? new Uint8Array(parseHtmlFormat(content)) : content),
}

function verbOf(script: string, marks: readonly (readonly [string, Verb])[]): Verb {
  const found = marks.find(([mark]) => script.includes(mark))
  if (found === undefined) throw new Error(`unknown script ${script}`)
  return found[1]
}

/** `whenRead` is called before each content that is read. */
interface ProgramDesk extends TestDesk {
  readonly whenRead: (listener: () => void) => void
  /** A secret is copied, and the change is not yet told of. */
  readonly replaceSilently: () => void
}

async function openDesk(system: System): Promise<ProgramDesk> {
  let onRead: (() => void) | undefined
  let board: Board = new Map()
  let onLine: (() => void) | undefined
  let end: ((error: SkeinError) => void) | undefined
  let isThere = true
  const set = (next: Board): void => {
    board = next
    onLine?.()
  }
  const programs: Programs = {
    run(options) {
      const { verb, format } = system.recognise(options)
      if (verb === 'write') set(system.parse(Buffer.from(options.input ?? []).toString()))
      if (verb === 'withdraw' && board.has(origin)) set(new Map())
      if (verb === 'list') return Promise.resolve(bytesOf(system.list([...board.keys()])))
      if (verb !== 'read') return Promise.resolve(new Uint8Array())
      onRead?.()
      return Promise.resolve(bytesOf(`${Buffer.from(board.get(format) ?? []).toString('base64')}\n`))
    },
    follow({ signal }, listener) {
      if (!isThere) return Promise.reject(new SkeinError('peer.gone', 'no session'))
      onLine = () => listener('1')
      onLine()
      return new Promise((_resolve, reject) => {
        end = reject
        signal.addEventListener('abort', () => reject(abortReason(signal)))
      })
    },
  }
  const clipboard = system.open(programs)
  await untilState(clipboard, 'ready')
  const named = (formats: readonly CopiedFormat[]): Board =>
    new Map(
      formats.map(({ mime, content }) => [
        system.names[mime] ?? mime,
        system.wrap?.(mime, content) ?? content,
      ]),
    )
  return {
    clipboard,
    whenRead: (listener) => void (onRead = listener),
    replaceSilently: () => void (board = named(textCopy('canary')).set(system.secret, new Uint8Array())),
    copyAs: (formats) => Promise.resolve(set(named(formats))),
    copyConcealedAs: (formats) => Promise.resolve(set(named(formats).set(system.secret, new Uint8Array()))),
    paste(mime) {
      const content = board.get(system.names[mime] ?? mime)
      return Promise.resolve(content && (system.unwrap?.(mime, content) ?? content))
    },
    leave() {
      isThere = false
      board = new Map()
      onLine = undefined
      return Promise.resolve(end?.(new SkeinError('peer.gone', 'the session ended')))
    },
    comeBack: () => Promise.resolve(void (isThere = true)),
    [Symbol.asyncDispose]: () => clipboard[Symbol.asyncDispose](),
  }
}

for (const [name, system] of Object.entries({ macos, windows })) {
  describe(`the clipboard of ${name}`, () => {
    describeDesktopClipboard(() => openDesk(system), { isEager: true, mimes: Object.keys(system.names) })

    test('a secret that is copied between the list of formats and their reading does not come out', async () => {
      await using desk = await openDesk(system)
      const copies = collectCopies(desk.clipboard)
      const { promise: isRead, resolve } = Promise.withResolvers<void>()
      desk.whenRead(() => {
        desk.whenRead(() => undefined)
        desk.replaceSilently()
        resolve()
      })
      await desk.copyAs(textCopy('harmless'))
      await isRead
      // The programs of this test answer at once: by then it would have come out
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
      await desk.copyAs(textCopy('after'))
      expect((await copies.next()).formats).toEqual(textCopy('after'))
      expect(copies.waiting).toBe(0)
    })
  })
}

describe("Windows' HTML format", () => {
  const html = bytesOf('<b>größer</b>')

  test('what is built is read back, with offsets that count bytes', () => {
    const built = buildHtmlFormat(html)
    expect(new Uint8Array(parseHtmlFormat(built))).toEqual(html)
    const text = Buffer.from(built).toString('latin1')
    const offset = (field: string): number => Number(new RegExp(`${field}:(\\d+)`).exec(text)?.[1])
    expect(text.slice(offset('StartHTML'), offset('EndHTML'))).toMatch(/^<html>.*<\/html>$/s)
    expect(offset('EndHTML')).toBe(built.byteLength)
  })

  test('offsets that are wrong give what follows the header, and never more than there is', () => {
    const broken = ['99999999', '-1', '0', 'x'].map((end) =>
      bytesOf(
        `Version:0.9\r\nStartHTML:${end}\r\nEndHTML:5\r\nStartFragment:4\r\nEndFragment:${end}\r\n<b>x</b>`,
      ),
    )
    for (const content of broken) expect(Buffer.from(parseHtmlFormat(content)).toString()).toBe('<b>x</b>')
    expect(parseHtmlFormat(bytesOf('plain'))).toEqual(bytesOf('plain'))
  })
})
