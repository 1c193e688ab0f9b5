import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Set;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;

/**
 * Takes the tokens that Google's own handlers of sign-ins make (https://github.com/googleapis/managedkafka), and no others: of an account and of one of
 * the access tokens in a file, each line of which is `token account end`, with the end in seconds of the epoch.
 */
public final class GoogleTokens extends ListedTokens {
  private static final Set<String> CLAIMS = Set.of("exp", "iat", "scope", "sub");

  @Override
  OAuthBearerToken tokenOf(String value) throws IOException {
    String[] parts = value.split("\\.", -1);
    check(parts.length == 3);
    JsonNode header = json(parts[0]);
    check(header.size() == 2 && "JWT".equals(header.path("typ").asText()));
    check("GOOG_OAUTH2_TOKEN".equals(header.path("alg").asText()));
    JsonNode claims = json(parts[1]);
    for (String claim : CLAIMS) check(claims.has(claim));
    check(claims.size() == CLAIMS.size() && "kafka".equals(claims.get("scope").asText()));
    long startMs = 1000 * claims.get("iat").longValue();
    String[] given = given(text(parts[2]));
    long endMs = 1000 * Long.parseLong(given[2]);
    // The library takes whole seconds from when it was answered.
    check(Math.abs(1000 * claims.get("exp").longValue() - endMs) <= 2000);
    long nowMs = System.currentTimeMillis();
    check(startMs <= nowMs + 1000 && nowMs < endMs && given[1].equals(claims.get("sub").asText()));
    return new Taken(value, startMs, endMs, given[1], Set.of("kafka"));
  }

  private static JsonNode json(String part) throws IOException {
    return new ObjectMapper().readTree(text(part));
  }

  private static String text(String part) {
    check(part.indexOf('=') < 0);
    return new String(Base64.getUrlDecoder().decode(part), StandardCharsets.UTF_8);
  }
}
