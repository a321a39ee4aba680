/** `skein recover`: gets a space back from a storage device with its key alone. The key is never given in arguments. */
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { SkeinError } from '../../base/errors.ts'
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

const timeoutMs = 120_000
const codeLengthMax = 256

export const recover: Command = {
  summary: 'get a space back from a storage device',
  examples: ['skein recover ~/notes', 'skein recover ~/notes --on vps --key-file key.txt'],
  words: [{ notation: '<dir>', about: 'where to keep it; made when it does not exist' }],
  options: [
    { notation: '--on <device>', about: 'the storage device (default: any that holds it)' },
    { notation: '--key-file <file>', about: 'where the key stands (default: it is read from the terminal)' },
  ],
  run: take,
}

async function take(call: Invocation): Promise<number> {
  const [given = ''] = call.words
  const file = textOption(call, 'keyFile')
  if (file === undefined && process.stdin.isTTY)
    call.terminal.say('The recovery key (skein space key printed it):')
  const code = await readLine(file === undefined ? process.stdin : createReadStream(file))
  const device = textOption(call, 'on')
  const params = { code, directory: resolve(given), ...(device !== undefined && { device }) }
  const found = await withPeer(call, (client) => client.call('recover', params, timeoutMs))
  call.terminal.json(found)
  call.terminal.print(safe`"${found.name}" comes back to ${found.directory ?? given}`)
  call.terminal.say('How far it is: skein sync --wait')
  return exitCodes.ok
}

async function readLine(input: Readable): Promise<string> {
  const reader = createInterface({ input })
  try {
    for await (const line of reader) {
      const text = line.trim()
      if (text !== '' && text.length <= codeLengthMax) return text
      if (text !== '') break
    }
  } finally {
    reader.close()
  }
  throw new SkeinError('usage', 'no recovery key was given', { fix: 'skein recover DIR < FILE-WITH-THE-KEY' })
}
