import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/** Takes tokens by what was given out, which is in the file that the claim `given` of the login names: a line each, which begins with its key. */
abstract class ListedTokens implements AuthenticateCallbackHandler {
  private Path givenFile;

  @Override
  public void configure(Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {
    givenFile = Path.of(claim(entries, "given"));
  }

  static String claim(List<AppConfigurationEntry> entries, String name) {
    return (String) entries.get(0).getOptions().get("unsecuredLoginStringClaim_" + name);
  }

  @Override
  public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
    for (Callback callback : callbacks) {
      if (!(callback instanceof OAuthBearerValidatorCallback)) throw new UnsupportedCallbackException(callback);
      OAuthBearerValidatorCallback asked = (OAuthBearerValidatorCallback) callback;
      try {
        asked.token(tokenOf(asked.tokenValue()));
      } catch (RuntimeException | IOException | GeneralSecurityException error) {
        asked.error("invalid_token", null, null);
      }
    }
  }

  /** Throws where it is not to be taken. */
  abstract OAuthBearerToken tokenOf(String value) throws IOException, GeneralSecurityException;

  /** The words of the line of that key. */
  String[] given(String key) throws IOException {
    return Files.readAllLines(givenFile).stream()
        .filter(line -> line.startsWith(key + " "))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("nobody was given it"))
        .split(" ");
  }

  static void check(boolean isSo) {
    if (!isSo) throw new IllegalArgumentException("not of the form that the cloud documents");
  }

  @Override
  public void close() {}

  /** One that is taken. */
  record Taken(String value, Long startTimeMs, long lifetimeMs, String principalName, Set<String> scope)
      implements OAuthBearerToken {}
}
