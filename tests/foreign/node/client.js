// The four jobs with @alicloud/credentials, @alicloud/sts20150401 and ali-oss.
const { createHash } = require('crypto');
const fs = require('fs');
const Credentials = require('@alicloud/credentials');
const { Config } = require('@alicloud/openapi-client');
const Sts = require('@alicloud/sts20150401');
const OSS = require('ali-oss');

const [region, bucket, key, refused, out] = process.argv.slice(2);
const tell = (job, facts) => console.log(JSON.stringify({ job, ...facts }));
const version = (name) => JSON.parse(fs.readFileSync(`${process.env.NODE_PATH}/${name}/package.json`)).version;

async function main() {
  const names = ['@alicloud/credentials', '@alicloud/sts20150401', 'ali-oss'];
  const versions = Object.fromEntries(names.map((name) => [name, version(name)]));
  tell('versions', { node: process.versions.node, ...versions });

  const credential = new Credentials.default(new Credentials.Config({ type: 'ecs_ram_role', disableIMDSv1: true }));
  const found = await credential.getCredential();
  tell('credentials', { prefix: found.accessKeyId.slice(0, 4) });

  const sts = new Sts.default(new Config({ credential, endpoint: `sts.${region}.aliyuncs.com` }));
  tell('identity', { arn: (await sts.getCallerIdentity()).body.arn });

  const oss = new OSS({
    region: `oss-${region}`,
    bucket,
    secure: true,
    authorizationV4: true,
    accessKeyId: found.accessKeyId,
    accessKeySecret: found.accessKeySecret,
    stsToken: found.securityToken,
  });
  await oss.get(key, out);
  tell('download', { sha256: createHash('sha256').update(fs.readFileSync(out)).digest('hex') });
  try {
    await oss.get(refused);
  } catch (error) {
    tell('refused', { status: error.status, code: error.code, ec: error.ecCode });
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
