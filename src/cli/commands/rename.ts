/** `skein rename`: another name for this or another device. */
import type { Command, Invocation } from '../command.ts'
import { textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const rename: Command = {
  summary: 'give a device another name',
  examples: ['skein rename workstation', 'skein rename "old laptop" --device 3k7m'],
  words: [{ notation: '<name>', about: 'the new name' }],
  options: [
    {
      notation: '--device <device>',
      about: 'another device than this one: its name, its id or the start of it',
    },
  ],
  run: giveName,
}

async function giveName(call: Invocation): Promise<number> {
  const [name = ''] = call.words
  const device = textOption(call, 'device')
  const params = device === undefined ? { name } : { name, device }
  const found = await withPeer(call, (client) => client.call('rename', params))
  call.terminal.json(found)
  call.terminal.print(safe`${found.isSelf ? 'this device' : found.deviceId} is now called "${found.name}"`)
  return exitCodes.ok
}
