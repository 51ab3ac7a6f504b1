// Learns the contract from the server's reflection and reserves stock with grpc-js. It has no .proto file of ours.
// Usage: node reserve.js HOST:PORT REFLECTION_SERVICE. What it has found is JSON on stdout.
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const REFLECTION = `
syntax = "proto3";
message Request { string host = 1; oneof message_request { string file_containing_symbol = 4; string list_services = 7; } }
message Service { string name = 1; }
message Services { repeated Service service = 1; }
message Files { repeated bytes file_descriptor_proto = 1; }
message Failure { int32 error_code = 1; string error_message = 2; }
message Response { oneof message_response {
  Files file_descriptor_response = 4; Services list_services_response = 6; Failure error_response = 7; } }
`;
const OPTIONS = { keepCase: true, longs: Number, enums: String, defaults: true };
const [, , target, reflectionService] = process.argv;
const credentials = grpc.credentials.createInsecure();

function reflectionClient() {
  const { Request, Response } = protobuf.parse(REFLECTION, { keepCase: true }).root.nested;
  const Client = grpc.makeGenericClientConstructor({
    ask: {
      path: `/${reflectionService}/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: (question) => Buffer.from(Request.encode(Request.create(question)).finish()),
      responseDeserialize: (bytes) => Response.decode(bytes),
    },
  });
  return new Client(target, credentials);
}

function ask(client, question) {
  return new Promise((resolve, reject) => {
    const call = client.ask();
    call.on("data", (answer) => {
      call.end();
      answer.error_response ? reject(new Error(answer.error_response.error_message)) : resolve(answer);
    });
    call.on("error", reject);
    call.write(question);
  });
}

async function learn(client, service) {
  const answer = await ask(client, { file_containing_symbol: service });
  const file = answer.file_descriptor_response.file_descriptor_proto.map((bytes) =>
    require("protobufjs/ext/descriptor").FileDescriptorProto.decode(bytes));
  const set = require("protobufjs/ext/descriptor").FileDescriptorSet.create({ file });
  const bytes = require("protobufjs/ext/descriptor").FileDescriptorSet.encode(set).finish();
  return grpc.loadPackageDefinition(protoLoader.loadFileDescriptorSetFromBuffer(Buffer.from(bytes), OPTIONS));
}

function reserve(Inventory, request) {
  const client = new Inventory(target, credentials);
  return new Promise((resolve, reject) => {
    client.ReserveStock(request, { deadline: Date.now() + 20000 }, (error, response) => {
      client.close();
      error ? reject(error) : resolve(response);
    });
  });
}

async function main() {
  const client = reflectionClient();
  const listed = await ask(client, { list_services: "*" });
  const services = listed.list_services_response.service.map((service) => service.name);
  const described = [];
  let Inventory;
  for (const name of services) {
    let found = await learn(client, name);
    for (const part of name.split(".")) found = found[part];
    if (found.service) described.push(name);
    if (name === "inventory.v1.InventoryService") Inventory = found;
  }
  client.close();
  const items = [{ variant_id: "var_789", warehouse_id: "wh_101", quantity: 2 }];
  const reserved = await reserve(Inventory, { organization_id: "org_123", order_id: "order_node", items });
  const error = await reserve(Inventory, {}).catch((refusal) => refusal);
  const details = error.metadata.get("grpc-status-details-bin")[0].toString("latin1");
  const reason = (details.match(/INVALID_REQUEST/) || [""])[0];
  console.log(JSON.stringify({ services, described, reserved, refused: { code: error.code, reason } }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
