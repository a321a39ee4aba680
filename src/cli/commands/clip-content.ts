/** What goes into the clipboard and comes out of it: bytes from a pipe and to a pipe, text for a terminal. */
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { formatSize } from '../../base/quantities.ts'
import type { ClipItem, ClipReadParams } from '../../peer/api-clipboard.ts'
import type { Client } from '../client.ts'
import type { Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

/** Contents of a gigabyte a minute would fit; a peer that is stuck does not. */
const timeoutMs = 60_000

/** Byte for byte to a pipe; made harmless on a terminal, where a copied escape sequence would act. */
export async function get(call: Invocation): Promise<number> {
  const [id] = call.words
  const type = textOption(call, 'type')
  const which = id === undefined ? {} : { id }
  return await withPeer(call, async (client) => {
    if (call.terminal.isJson) {
      const found = await client.call('clipGet', which, timeoutMs)
      call.terminal.json(found)
      return exitCodes.ok
    }
    const { item } = await client.call('clipGet', which, timeoutMs)
    if (item === undefined) {
      call.terminal.say('The clipboard is empty.')
      return exitCodes.failed
    }
    return await write(call, client, type === undefined ? which : { ...which, type })
  })
}

async function write(call: Invocation, client: Client, params: ClipReadParams): Promise<number> {
  const isShown = process.stdout.isTTY
  let mediaType = ''
  const shown: Buffer[] = []
  for await (const piece of client.stream('clipRead', params)) {
    if (piece.kind === 'content') {
      mediaType = piece.mediaType
      if (isShown && !mediaType.startsWith('text/')) {
        call.terminal.say(
          safe`The newest item is ${mediaType}, ${formatSize(piece.sizeBytes)}: skein clip get > FILE`,
        )
        return exitCodes.failed
      }
      continue
    }
    const bytes = Buffer.from(piece.base64, 'base64')
    if (isShown) shown.push(bytes)
    else if (!process.stdout.write(bytes))
      await new Promise((resolve) => void process.stdout.once('drain', resolve))
  }
  if (isShown) {
    const lines = Buffer.concat(shown).toString('utf8').split('\n')
    call.terminal.write(`${lines.map((line) => safe`${line}`).join('\n')}\n`)
  }
  return exitCodes.ok
}

export async function set(call: Invocation): Promise<number> {
  const type = textOption(call, 'type')
  const [word] = call.words
  const content = word === undefined ? await readInput() : Buffer.from(word)
  const item = await withPeer(call, (client) => hand(client, content, type ?? typeOf(content)))
  call.terminal.json(item)
  call.terminal.say(`${formatSize(item.sizeBytes)} on the clipboard`)
  return exitCodes.ok
}

async function hand(client: Client, content: Buffer, type: string): Promise<ClipItem> {
  const isShort = content.byteLength <= limits.clipboardPieceBytes
  if (isShort) return await client.call('clipSet', { base64: content.toString('base64'), type }, timeoutMs)
  let upload: string | undefined
  for (let from = 0; from < content.byteLength; from += limits.clipboardPieceBytes) {
    const base64 = content.subarray(from, from + limits.clipboardPieceBytes).toString('base64')
    const params = upload === undefined ? { base64 } : { base64, upload }
    upload = (await client.call('clipUpload', params, timeoutMs)).upload
  }
  return await client.call('clipSet', { upload: upload ?? '', type }, timeoutMs)
}

async function readInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    sizeBytes += bytes.byteLength
    if (sizeBytes > limits.clipboardContentBytes) {
      throw new SkeinError('limit.exceeded', 'more than the clipboard takes', {
        fix: `at most ${formatSize(limits.clipboardContentBytes)}; share larger things as files`,
      })
    }
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

const signatures: readonly (readonly [string, string])[] = [
  ['89504e470d0a1a0a', 'image/png'],
  ['ffd8ff', 'image/jpeg'],
  ['474946383', 'image/gif'],
]

/** Text, or what the first bytes say. @throws `usage` when it is neither. */
function typeOf(content: Buffer): string {
  const start = content.subarray(0, 8).toString('hex')
  const known = signatures.find(([signature]) => start.startsWith(signature))
  if (known !== undefined) return known[1]
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(content)
    return 'text/plain'
  } catch (error) {
    throw new SkeinError('usage', 'this is no text', {
      cause: error,
      fix: 'say what it is: skein clip set --type application/pdf < FILE',
    })
  }
}
