/**
 * The clipboard of Windows, through PowerShell: a script looks at the sequence number four times a second, others read
 * and write. All formats are offered together, with our mark among them.
 */
import type { Env } from '../../base/env.ts'
import { limits } from '../../base/limits.ts'
import { buildHtmlFormat, parseHtmlFormat } from './html-format.ts'
import { decodeBase64 } from './macos-clipboard.ts'
import type { CopiedFormat, DesktopClipboard } from './port.ts'
import {
  createProgramClipboard,
  originFormat,
  type ClipboardDriver,
  type NamedFormat,
} from './program-clipboard.ts'
import type { Programs } from './programs.ts'
import { parseTypes } from './wayland-clipboard.ts'

const htmlFormat = 'HTML Format'
/** In the order of preference. */
const names: readonly NamedFormat[] = [
  { mime: 'text/plain', format: 'UnicodeText' },
  { mime: 'text/html', format: htmlFormat },
  { mime: 'text/rtf', format: 'Rich Text Format' },
  { mime: 'image/png', format: 'PNG' },
  { mime: 'image/png', format: 'Bitmap' },
  { mime: 'text/uri-list', format: 'FileDrop' },
]

const prelude = `$ErrorActionPreference = 'Stop'; Add-Type -AssemblyName System.Windows.Forms, System.Drawing
$board = [Windows.Forms.Clipboard]`
const scripts = {
  // It ends with whoever started it
  follow: (parent: number) => `Add-Type -Namespace Skein -Name Board -MemberDefinition @'
[DllImport("user32.dll")] public static extern uint GetClipboardSequenceNumber();
'@
while (Get-Process -Id ${parent} -ErrorAction SilentlyContinue) {
  $count = [Skein.Board]::GetClipboardSequenceNumber()
  if ($count -ne $last) { $last = $count; [Console]::Out.WriteLine($count); [Console]::Out.Flush() }
  Start-Sleep -Milliseconds 250 }`,
  list: `${prelude}; $data = $board::GetDataObject(); if ($data) { $data.GetFormats() }`,
  read: (format: string) => `${prelude}; $name = '${format}'; $stream = New-Object IO.MemoryStream
if ($name -eq 'FileDrop') { $content = (($board::GetFileDropList() | % { ([Uri]$_).AbsoluteUri }) -join "\`r\`n") + "\`r\`n" }
elseif ($name -eq 'Bitmap') { $board::GetImage().Save($stream, [Drawing.Imaging.ImageFormat]::Png); $content = $stream }
else { $content = $board::GetDataObject().GetData($name) }
if ($content -is [IO.MemoryStream]) { $bytes = $content.ToArray() } else { $bytes = [Text.Encoding]::UTF8.GetBytes([string]$content) }
[Console]::Out.Write([Convert]::ToBase64String($bytes))`,
  write: `${prelude}; $object = New-Object Windows.Forms.DataObject
$given = [Console]::In.ReadToEnd() | ConvertFrom-Json
foreach ($one in $given) { $bytes = [Convert]::FromBase64String($one.content)
  if ($one.format -in 'UnicodeText', 'Rich Text Format') { $object.SetData($one.format, [Text.Encoding]::UTF8.GetString($bytes)) }
  elseif ($one.format -eq 'FileDrop') { $files = New-Object Collections.Specialized.StringCollection
    [Text.Encoding]::UTF8.GetString($bytes) -split "\`r?\`n" | ? { $_ -like 'file:*' } | % { [void]$files.Add(([Uri]$_).LocalPath) }
    $object.SetFileDropList($files) }
  else { $stream = New-Object IO.MemoryStream(, $bytes); $object.SetData($one.format, $false, $stream)
    if ($one.format -eq 'PNG') { $object.SetImage([Drawing.Image]::FromStream((New-Object IO.MemoryStream(, $bytes)))) } } }
$board::SetDataObject($object, $true)`,
  withdraw: `${prelude}; $data = $board::GetDataObject(); if ($data -and $data.GetDataPresent('${originFormat}')) { $board::Clear() }`,
}
const smallBytes = 64 * 1024
const maxBytes = Math.ceil((limits.desktopFormatBytes * 4) / 3) + 1024

export function createWindowsClipboard(env: Env, programs: Programs): DesktopClipboard {
  return createProgramClipboard(env, createWindowsDriver(programs))
}

export function createWindowsDriver(programs: Programs): ClipboardDriver {
  const run = (script: string, signal: AbortSignal, input?: Uint8Array): Promise<Uint8Array> =>
    programs.run({ ...powershell(script), input, maxBytes, signal })
  return {
    name: 'windows',
    fix: 'start Skein in the session of the person who is logged in',
    follow(listener, signal) {
      let isReady = false
      const options = { ...powershell(scripts.follow(process.pid)), maxBytes: smallBytes, signal }
      return programs.follow(options, () => {
        if (isReady) return listener.changed()
        isReady = true
        listener.ready()
      })
    },
    list: async (signal) => parseTypes(await run(scripts.list, signal)),
    choose: chooseFormats,
    async read(format, signal) {
      const content = decodeBase64(await run(scripts.read(format), signal))
      return format === htmlFormat ? parseHtmlFormat(content) : content
    },
    select: (mimes) => mimes.filter((mime) => names.some((name) => name.mime === mime)),
    async write(formats, signal) {
      await run(scripts.write, signal, encodeFormats(formats))
    },
    async withdraw(signal) {
      await run(scripts.withdraw, signal)
    },
  }
}

/** An image often lies there twice: as a PNG and as a bitmap. */
export function chooseFormats(listed: ReadonlySet<string>): readonly NamedFormat[] {
  const there = names.filter(({ format }) => listed.has(format))
  return there.filter(({ mime }, index) => there.findIndex((one) => one.mime === mime) === index)
}

export function encodeFormats(formats: readonly CopiedFormat[]): Uint8Array {
  const encode = (content: Uint8Array): string => Buffer.from(content).toString('base64')
  const given = formats.flatMap(({ mime, content }) => {
    const format = names.find((name) => name.mime === mime)?.format
    if (format === undefined) return []
    return [{ format, content: encode(format === htmlFormat ? buildHtmlFormat(content) : content) }]
  })
  return Buffer.from(JSON.stringify([...given, { format: originFormat, content: encode(Uint8Array.of(1)) }]))
}

/** Encoded, so that nothing needs quoting; the clipboard wants a single-threaded apartment. */
function powershell(script: string): { readonly command: string; readonly args: readonly string[] } {
  const encoded = Buffer.from(script, 'utf16le').toString('base64')
  const args = ['-NoProfile', '-NonInteractive', '-STA', '-EncodedCommand', encoded]
  return { command: 'powershell.exe', args }
}
