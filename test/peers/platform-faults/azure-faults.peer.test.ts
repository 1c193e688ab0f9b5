import { FAULTY_AZURE } from '../platform/faulty-azure-site.ts';
import { describePlatformUnderFaults } from '../platform/platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_AZURE);
