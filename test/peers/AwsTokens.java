import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;

/**
 * Takes the tokens of AWS's own signer for MSK (https://github.com/aws/aws-msk-iam-sasl-signer-js), and no others: a request to connect to a cluster of
 * one region, presigned with one of the credentials in a file, each line of which is `key secret session`. The signature is made here anew, as
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html has it.
 */
public final class AwsTokens extends ListedTokens {
  private static final String ALGORITHM = "AWS4-HMAC-SHA256";
  private static final String SERVICE = "kafka-cluster";
  private static final String SCOPE_END = "aws4_request";
  private static final String SIGNATURE = "X-Amz-Signature";
  /** Who asks is added once the rest is signed. */
  private static final Set<String> UNSIGNED = Set.of(SIGNATURE, "User-Agent");
  private static final Set<String> NAMES =
      Set.of(
          "Action",
          "User-Agent",
          "X-Amz-Algorithm",
          "X-Amz-Credential",
          "X-Amz-Date",
          "X-Amz-Expires",
          "X-Amz-Security-Token",
          SIGNATURE,
          "X-Amz-SignedHeaders");
  private static final int MAX_LIFETIME_S = 900;
  private String region;

  @Override
  public void configure(Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {
    super.configure(settings, mechanism, entries);
    region = claim(entries, "region");
  }

  @Override
  OAuthBearerToken tokenOf(String value) throws IOException, GeneralSecurityException {
    check(value.indexOf('=') < 0);
    URI url = URI.create(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8));
    String host = "kafka." + region + ".amazonaws.com";
    check("https".equals(url.getScheme()) && host.equals(url.getRawAuthority()) && "/".equals(url.getRawPath()));
    TreeMap<String, String> query = queryOf(url);
    check(query.keySet().equals(NAMES));
    check("kafka-cluster:Connect".equals(text(query, "Action")));
    check(ALGORITHM.equals(text(query, "X-Amz-Algorithm")) && "host".equals(text(query, "X-Amz-SignedHeaders")));
    String date = text(query, "X-Amz-Date");
    String scope = String.join("/", date.substring(0, 8), region, SERVICE, SCOPE_END);
    String[] credential = text(query, "X-Amz-Credential").split("/", 2);
    check(credential.length == 2 && scope.equals(credential[1]));
    String[] given = given(credential[0]);
    check(given[2].equals(text(query, "X-Amz-Security-Token")));
    check(text(query, SIGNATURE).equals(signature(query, host, date, scope, given[1])));
    DateTimeFormatter format = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'");
    long startMs = LocalDateTime.parse(date, format).toInstant(ZoneOffset.UTC).toEpochMilli();
    int lifetimeS = Integer.parseInt(text(query, "X-Amz-Expires"));
    check(lifetimeS > 0 && lifetimeS <= MAX_LIFETIME_S);
    long endMs = startMs + 1000L * lifetimeS;
    long nowMs = System.currentTimeMillis();
    check(startMs <= nowMs + 1000 && nowMs < endMs);
    return new Taken(value, startMs, endMs, credential[0], Set.of());
  }

  /** By name, which is the order that is signed, and as they came. */
  private static TreeMap<String, String> queryOf(URI url) {
    TreeMap<String, String> query = new TreeMap<>();
    for (String pair : url.getRawQuery().split("&")) {
      String[] parts = pair.split("=", 2);
      check(parts.length == 2 && query.put(parts[0], parts[1]) == null);
    }
    return query;
  }

  private static String text(Map<String, String> query, String name) {
    return URLDecoder.decode(query.get(name), StandardCharsets.UTF_8);
  }

  private static String signature(Map<String, String> query, String host, String date, String scope, String secret)
      throws GeneralSecurityException {
    String signed =
        query.entrySet().stream()
            .filter(each -> !UNSIGNED.contains(each.getKey()))
            .map(each -> each.getKey() + "=" + each.getValue())
            .collect(Collectors.joining("&"));
    String request = String.join("\n", "GET", "/", signed, "host:" + host, "", "host", sha256(""));
    byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
    for (String part : scope.split("/")) key = hmac(key, part);
    return HexFormat.of().formatHex(hmac(key, String.join("\n", ALGORITHM, date, scope, sha256(request))));
  }

  private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String sha256(String text) throws GeneralSecurityException {
    byte[] bytes = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    return HexFormat.of().formatHex(bytes);
  }
}
