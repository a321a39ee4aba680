/** gRPC as a comparison: unary calls of grpc-js with mutual TLS, bodies as raw bytes (no protobuf work). */
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type handleUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { measureLatency, measureThroughput } from './calls.ts'
import { serveSide } from './side.ts'

const path = '/bench.Echo/Call'
const same = (bytes: Buffer): Buffer => bytes
const service: ServiceDefinition = {
  call: {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
}

let client: Client | undefined
const body = Buffer.alloc(1024)
const call = (): Promise<void> =>
  new Promise((resolve, reject) => {
    client?.makeUnaryRequest(path, same, same, body, (error, reply) => {
      if (error !== null) reject(error)
      else if (reply?.byteLength !== body.byteLength) reject(new Error('wrong echo'))
      else resolve()
    })
  })

serveSide({
  async listen({ cert, key }) {
    const server = new Server()
    const echo: handleUnaryCall<Buffer, Buffer> = (incoming, respond) => respond(null, incoming.request)
    server.addService(service, { call: echo })
    const pem = { cert: Buffer.from(String(cert)), key: Buffer.from(String(key)) }
    const security = ServerCredentials.createSsl(
      pem.cert,
      [{ cert_chain: pem.cert, private_key: pem.key }],
      true,
    )
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', security, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    return { port }
  },
  async connect({ port, cert, key }) {
    const pem = { cert: Buffer.from(String(cert)), key: Buffer.from(String(key)) }
    client = new Client(`127.0.0.1:${Number(port)}`, credentials.createSsl(pem.cert, pem.key, pem.cert))
    await call()
    return {}
  },
  latency: ({ calls }) => measureLatency(call, Number(calls)),
  throughput: ({ seconds }) => measureThroughput(call, 64, Number(seconds)),
})
