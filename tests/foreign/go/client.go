// The four jobs with credentials-go, the STS client and the OSS SDK v2.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sts "github.com/alibabacloud-go/sts-20150401/v2/client"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	osscredentials "github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
	"github.com/aliyun/credentials-go/credentials"
)

func tell(job string, facts map[string]any) {
	facts["job"] = job
	line, _ := json.Marshal(facts)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	region, bucket, key, refused, out := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	versions := map[string]any{"go": runtime.Version()}
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		switch module.Path {
		case "github.com/aliyun/credentials-go", "github.com/aliyun/alibabacloud-oss-go-sdk-v2",
			"github.com/alibabacloud-go/sts-20150401/v2":
			versions[module.Path] = module.Version
		}
	}
	tell("versions", versions)

	credential, err := credentials.NewCredential(
		new(credentials.Config).SetType("ecs_ram_role").SetDisableIMDSv1(true))
	must(err)
	found, err := credential.GetCredential()
	must(err)
	tell("credentials", map[string]any{"prefix": (*found.AccessKeyId)[:4]})

	endpoint := "sts." + region + ".aliyuncs.com"
	client, err := sts.NewClient(&openapi.Config{Credential: credential, Endpoint: &endpoint})
	must(err)
	identity, err := client.GetCallerIdentity()
	must(err)
	tell("identity", map[string]any{"arn": *identity.Body.Arn})

	provider := osscredentials.CredentialsProviderFunc(
		func(context.Context) (osscredentials.Credentials, error) {
			now, err := credential.GetCredential()
			if err != nil {
				return osscredentials.Credentials{}, err
			}
			return osscredentials.Credentials{AccessKeyID: *now.AccessKeyId,
				AccessKeySecret: *now.AccessKeySecret, SecurityToken: *now.SecurityToken}, nil
		})
	// The proxy's variables count only where asked for; in a namespace there are none.
	service := oss.NewClient(oss.LoadDefaultConfig().WithCredentialsProvider(provider).
		WithRegion(region).WithProxyFromEnvironment(true))
	_, err = service.GetObjectToFile(context.TODO(), &oss.GetObjectRequest{Bucket: &bucket, Key: &key}, out)
	must(err)
	body, err := os.ReadFile(out)
	must(err)
	sum := sha256.Sum256(body)
	tell("download", map[string]any{"sha256": hex.EncodeToString(sum[:])})

	_, err = service.GetObject(context.TODO(), &oss.GetObjectRequest{Bucket: &bucket, Key: &refused})
	var refusal *oss.ServiceError
	if errors.As(err, &refusal) {
		tell("refused", map[string]any{"status": refusal.StatusCode, "code": refusal.Code, "ec": refusal.EC})
	}
}
