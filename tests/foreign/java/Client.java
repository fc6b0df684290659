// The four jobs with credentials-java, the STS client and the OSS SDK.

import com.aliyun.credentials.models.CredentialModel;
import com.aliyun.oss.ClientBuilderConfiguration;
import com.aliyun.oss.OSS;
import com.aliyun.oss.OSSClientBuilder;
import com.aliyun.oss.OSSException;
import com.aliyun.oss.common.auth.Credentials;
import com.aliyun.oss.common.auth.CredentialsProvider;
import com.aliyun.oss.common.auth.DefaultCredentials;
import com.aliyun.oss.common.comm.SignVersion;
import com.aliyun.oss.model.GetObjectRequest;
import com.aliyun.oss.model.OSSObject;
import java.io.File;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.HexFormat;

public class Client {
    static String version(Class<?> one) {
        String jar = new File(one.getProtectionDomain().getCodeSource().getLocation().getPath()).getName();
        return jar.replaceFirst(".*-([0-9][^-]*)\\.jar", "$1");
    }

    public static void main(String[] arguments) throws Exception {
        String region = arguments[0], bucket = arguments[1], key = arguments[2], refused = arguments[3];
        File out = new File(arguments[4]);
        System.out.printf(
                "{\"job\":\"versions\",\"java\":\"%s\",\"credentials-java\":\"%s\",\"sts20150401\":\"%s\",\"aliyun-sdk-oss\":\"%s\"}%n",
                System.getProperty("java.version"), version(com.aliyun.credentials.Client.class),
                version(com.aliyun.sts20150401.Client.class), version(OSS.class));

        com.aliyun.credentials.models.Config wanted = new com.aliyun.credentials.models.Config();
        wanted.setType("ecs_ram_role");
        wanted.setDisableIMDSv1(true);
        com.aliyun.credentials.Client credential = new com.aliyun.credentials.Client(wanted);
        CredentialModel found = credential.getCredential();
        System.out.printf("{\"job\":\"credentials\",\"prefix\":\"%s\"}%n", found.getAccessKeyId().substring(0, 4));

        com.aliyun.teaopenapi.models.Config config = new com.aliyun.teaopenapi.models.Config();
        config.setCredential(credential);
        config.setEndpoint("sts." + region + ".aliyuncs.com");
        String arn = new com.aliyun.sts20150401.Client(config).getCallerIdentity().getBody().getArn();
        System.out.printf("{\"job\":\"identity\",\"arn\":\"%s\"}%n", arn);

        CredentialsProvider provider = new CredentialsProvider() {
            @Override
            public void setCredentials(Credentials ignored) {
            }

            @Override
            public Credentials getCredentials() {
                CredentialModel now = credential.getCredential();
                return new DefaultCredentials(now.getAccessKeyId(), now.getAccessKeySecret(), now.getSecurityToken());
            }
        };
        ClientBuilderConfiguration settings = new ClientBuilderConfiguration();
        settings.setSignatureVersion(SignVersion.V4);
        OSS oss = OSSClientBuilder.create().endpoint("https://oss-" + region + ".aliyuncs.com").region(region)
                .credentialsProvider(provider).clientConfiguration(settings).build();
        oss.getObject(new GetObjectRequest(bucket, key), out);
        byte[] sum = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(out.toPath()));
        System.out.printf("{\"job\":\"download\",\"sha256\":\"%s\"}%n", HexFormat.of().formatHex(sum));
        try (OSSObject object = oss.getObject(bucket, refused)) {
            System.err.println("not refused");
        } catch (OSSException error) {
            // This SDK's exception keeps no status.
            System.out.printf("{\"job\":\"refused\",\"code\":\"%s\",\"ec\":\"%s\"}%n", error.getErrorCode(), error.getEC());
        }
        oss.shutdown();
        System.exit(0); // the credentials' refresh thread would keep the program alive
    }
}
