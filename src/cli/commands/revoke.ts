/** `skein revoke`: puts a device out of the mesh for good. */
import { SkeinError } from '../../base/errors.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { ask } from '../question.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const revoke: Command = {
  summary: 'put a device out of the mesh',
  examples: ['skein revoke old-phone', 'skein revoke 3k7m --yes'],
  words: [{ notation: '<device>', about: 'its name, its id or the start of its id' }],
  options: [{ notation: '-y, --yes', about: 'do not ask' }],
  run: putOut,
}

async function putOut(call: Invocation): Promise<number> {
  const [device = ''] = call.words
  if (!isSet(call, 'yes')) {
    if (!call.terminal.isInteractive) {
      throw new SkeinError('usage', 'revoking cannot be undone, and nobody is here to be asked', {
        fix: 'add --yes',
      })
    }
    const isSure = await ask(safe`Put "${device}" out? It must be paired again to come back.`)
    if (!isSure) return exitCodes.refused
  }
  const found = await withPeer(call, (client) => client.call('revoke', { device }))
  call.terminal.json(found)
  call.terminal.print(safe`"${found.name}" is out: its connections are cut and its tokens void`)
  return exitCodes.ok
}
