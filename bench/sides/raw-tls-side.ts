/** Plain Node TLS 1.3 sockets with the defaults of Node: what bulk over TLS can cost at the least. */
import { hrtime } from 'node:process'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createSystemEnv } from '../../src/base/env.ts'
import { createTlsIdentity } from '../../src/transport/tls-identity.ts'
import { serveSide } from './side.ts'

const { cert, key } = await createTlsIdentity(createSystemEnv().random, await generateKeyPair('Ed25519'))
const server = createServer({ cert, key, minVersion: 'TLSv1.3' }, (socket) => {
  let leftBytes = 0
  socket.on('data', (data) => {
    // The first 8 bytes of a transfer say how long it is
    if (leftBytes === 0) leftBytes = Number(data.readBigUInt64BE(0))
    leftBytes -= data.byteLength
    if (leftBytes === 0) socket.write(Buffer.alloc(1))
  })
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

let socket: TLSSocket | undefined
serveSide({
  listening: () => {
    const address = server.address()
    return { port: typeof address === 'object' && address !== null ? address.port : 0 }
  },
  async connect({ port }) {
    socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false })
    await new Promise((resolve, reject) =>
      socket?.once('secureConnect', () => resolve(undefined)).once('error', reject),
    )
    return {}
  },
  async bulk({ totalBytes, writeBytes }) {
    const to = socket
    if (to === undefined) throw new Error('not connected')
    const block = Buffer.alloc(Number(writeBytes))
    const first = Buffer.alloc(Number(writeBytes))
    first.writeBigUInt64BE(BigInt(Number(totalBytes)), 0)
    const startNs = hrtime.bigint()
    const done = new Promise((resolve) => to.once('data', resolve))
    for (let sent = 0; sent < Number(totalBytes); sent += block.byteLength) {
      if (!to.write(sent === 0 ? first : block)) await new Promise((resolve) => to.once('drain', resolve))
    }
    await done
    return { seconds: Number(hrtime.bigint() - startNs) / 1e9 }
  },
})
