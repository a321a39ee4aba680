/** `skein metrics`: the peer's numbers in the Prometheus text format. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'

export const metrics: Command = {
  summary: 'numbers in Prometheus form',
  examples: ['skein metrics', 'skein metrics > /var/lib/node_exporter/skein.prom'],
  run: print,
}

async function print(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('metrics', {}))
  call.terminal.json(found)
  if (!call.terminal.isJson) call.terminal.write(found.text)
  return exitCodes.ok
}
