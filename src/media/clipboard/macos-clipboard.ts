/**
 * The clipboard of macOS, through `osascript`: the system tells nobody of changes, so a small script looks at its change
 * count four times a second. All formats are offered together, with our mark among them.
 */
import type { Env } from '../../base/env.ts'
import { limits } from '../../base/limits.ts'
import type { DesktopClipboard } from './port.ts'
import {
  createProgramClipboard,
  originFormat,
  type ClipboardDriver,
  type NamedFormat,
} from './program-clipboard.ts'
import type { Programs } from './programs.ts'

const fileType = 'public.file-url'
const types: readonly NamedFormat[] = [
  { mime: 'text/plain', format: 'public.utf8-plain-text' },
  { mime: 'text/html', format: 'public.html' },
  { mime: 'text/rtf', format: 'public.rtf' },
  { mime: 'image/png', format: 'public.png' },
  { mime: 'text/uri-list', format: fileType },
]

const prelude = `ObjC['import']('AppKit'); ObjC['import']('stdlib'); const board = $.NSPasteboard.generalPasteboard;`
const scripts = {
  // It ends with whoever started it
  follow: `${prelude} ObjC.bindFunction('getppid', ['int', []]);
const out = $.NSFileHandle.fileHandleWithStandardOutput; let last;
while ($.getppid() !== 1) { const count = board.changeCount;
  if (count !== last) { last = count; out.writeData($(count + '\\n').dataUsingEncoding($.NSUTF8StringEncoding)) }
  $.NSThread.sleepForTimeInterval(0.25) }`,
  list: `${prelude} JSON.stringify(ObjC.deepUnwrap(board.types) || [])`,
  read: `${prelude} function run(args) { if (args[0] !== '${fileType}') {
    const data = board.dataForType(args[0]); if (data.isNil()) $.exit(1);
    return data.base64EncodedStringWithOptions(0).js }
  const urls = board.pasteboardItems.js.map((item) => item.stringForType('${fileType}').js).filter((url) => url);
  return $(urls.join('\\r\\n') + '\\r\\n').dataUsingEncoding($.NSUTF8StringEncoding).base64EncodedStringWithOptions(0).js }`,
  write: `${prelude} const input = $.NSFileHandle.fileHandleWithStandardInput.readDataToEndOfFile;
const items = JSON.parse($.NSString.alloc.initWithDataEncoding(input, $.NSUTF8StringEncoding).js).map((formats) => {
  const item = $.NSPasteboardItem.alloc.init; for (const type of Object.keys(formats))
    item.setDataForType($.NSData.alloc.initWithBase64EncodedStringOptions(formats[type], 0), type);
  return item });
board.clearContents; board.writeObjects($(items)); ''`,
  withdraw: `${prelude} if ((ObjC.deepUnwrap(board.types) || []).includes('${originFormat}')) board.clearContents; ''`,
}
const smallBytes = 64 * 1024
const maxBytes = Math.ceil((limits.desktopFormatBytes * 4) / 3) + 1024

export function createMacosClipboard(env: Env, programs: Programs): DesktopClipboard {
  return createProgramClipboard(env, createMacosDriver(programs))
}

export function createMacosDriver(programs: Programs): ClipboardDriver {
  const run = (
    script: string,
    signal: AbortSignal,
    rest: { input?: Uint8Array; args?: readonly string[] } = {},
  ) => {
    const args = ['-l', 'JavaScript', '-e', script, ...(rest.args ?? [])]
    return programs.run({ command: 'osascript', args, input: rest.input, maxBytes, signal })
  }
  return {
    name: 'macos',
    fix: 'start Skein in the session of the person who is logged in',
    follow(listener, signal) {
      let isReady = false
      const args = ['-l', 'JavaScript', '-e', scripts.follow]
      return programs.follow({ command: 'osascript', args, maxBytes: smallBytes, signal }, () => {
        if (isReady) return listener.changed()
        isReady = true
        listener.ready()
      })
    },
    list: async (signal) => parseTypeList(await run(scripts.list, signal)),
    choose: (listed) => types.filter(({ format }) => listed.has(format)),
    read: async (format, signal) => decodeBase64(await run(scripts.read, signal, { args: [format] })),
    select: (mimes) => mimes.filter((mime) => types.some((type) => type.mime === mime)),
    async write(formats, signal) {
      const named = formats.flatMap(({ mime, content }) => {
        const format = types.find((type) => type.mime === mime)?.format
        return format === undefined ? [] : [{ format, content }]
      })
      await run(scripts.write, signal, { input: encodeItems(named) })
    },
    async withdraw(signal) {
      await run(scripts.withdraw, signal)
    },
  }
}

/** A JSON list of names; anything else is no list. */
export function parseTypeList(output: Uint8Array): readonly string[] {
  try {
    const found: unknown = JSON.parse(new TextDecoder().decode(output))
    return Array.isArray(found) ? found.filter((name) => typeof name === 'string') : []
  } catch {
    return [] // because: a script that says something else found nothing that could be copied
  }
}

/** Every file is an item of its own; the first item carries all other formats and our mark. */
export function encodeItems(
  formats: readonly { readonly format: string; readonly content: Uint8Array }[],
): Uint8Array {
  const encode = (content: Uint8Array): string => Buffer.from(content).toString('base64')
  const files = formats
    .filter(({ format }) => format === fileType)
    .flatMap(({ content }) => new TextDecoder().decode(content).split(/\r?\n/))
    .filter((line) => line !== '' && !line.startsWith('#'))
  const others = formats.filter(({ format }) => format !== fileType)
  const first = Object.fromEntries(others.map(({ format, content }) => [format, encode(content)]))
  const [file, ...more] = files.map((url) => ({ [fileType]: encode(Buffer.from(url)) }))
  return Buffer.from(
    JSON.stringify([{ ...first, [originFormat]: encode(Uint8Array.of(1)), ...file }, ...more]),
  )
}

export function decodeBase64(output: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.from(new TextDecoder().decode(output).trim(), 'base64'))
}
