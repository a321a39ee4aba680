/** `skein store`: lets a storage device hold a space, sealed: it can give it back, and can read neither names nor files. */
import { SkeinError } from '../../base/errors.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

const timeoutMs = 120_000

export const store: Command = {
  summary: 'let a storage device hold a space sealed',
  examples: ['skein store notes --on vps', 'skein store notes --on vps --stop'],
  words: [{ notation: '<space>', about: 'its name, its id or the start of its id' }],
  options: [
    { notation: '--on <device>', about: 'a device paired with --role storage that said: skein hold' },
    { notation: '--stop', about: 'no more; what it holds is deleted there' },
  ],
  run: place,
}

async function place(call: Invocation): Promise<number> {
  const [space = ''] = call.words
  const device = textOption(call, 'on')
  if (device === undefined)
    throw new SkeinError('usage', 'which device is to hold it?', { fix: `skein store ${space} --on DEVICE` })
  const isStopped = isSet(call, 'stop')
  const params = { space, device, ...(isStopped && { isStopped }) }
  const found = await withPeer(call, (client) => client.call('store', params, timeoutMs))
  call.terminal.json(found)
  call.terminal.print(
    isStopped
      ? safe`${device} holds "${found.name}" no more`
      : safe`"${found.name}" is sealed to ${device} from now on`,
  )
  if (!isStopped) call.terminal.say(safe`Keep its key: skein space key ${found.name}`)
  return exitCodes.ok
}
